import { loadConfig } from "./config.ts";
import { openDatabase } from "./db/database.ts";
import { checkSchema } from "./db/migrate.ts";
import { confirmStoppedSweep, listStoppedSweeps, type StoppedSweep } from "./vault/stopped-sweeps.ts";

/** What to do about stopped sweeps. */
export interface AdminSweepOptions {
  readonly confirm: boolean;
  /** uid of the cluster whose sweep is meant, where several share the database. */
  readonly cluster?: string | undefined;
}

/** The text to print, and the exit status. */
interface Answer {
  readonly text: string;
  readonly status: number;
}

/**
 * Lists the sweeps that wait for a person, or lets the one that is meant go on. The confirmation is a row in the database,
 * which the controller looks at every 10 s; it holds for as many rows as are shown, and once.
 */
export async function adminSweep({ confirm, cluster }: AdminSweepOptions): Promise<Answer> {
  const config = loadConfig(process.env, ["database"]);
  await using database = openDatabase({ ...config.database, applicationName: "keystead admin" });
  await checkSchema(database);
  const stopped = (await listStoppedSweeps(database)).filter((one) => cluster === undefined || one.cluster === cluster);
  if (stopped.length === 0) return { text: "No sweep is stopped.\n", status: 0 };
  const list = stopped.map(describe).join("");
  const [one, another] = stopped;
  if (!confirm || !one) return { text: `${list}Go on with: keystead admin sweep --confirm\n`, status: 0 };
  if (another) return { text: `${list}Several are stopped: name one with --cluster.\n`, status: 1 };
  if (!(await confirmStoppedSweep(database, one))) {
    return { text: "The numbers have changed meanwhile. Look again.\n", status: 1 };
  }
  return { text: `${list}Confirmed: the controller soft-deletes them within a minute.\n`, status: 0 };
}

function describe({
  cluster,
  release,
  orphans,
  managed,
  stopped_at: at,
  confirmed_at: confirmed,
}: StoppedSweep): string {
  const state = confirmed ? `, confirmed at ${confirmed.toISOString()}` : "";
  return `Release ${release} in cluster ${cluster}: the resources of ${orphans} of ${managed} rows are missing since ${at.toISOString()}${state}.\n`;
}
