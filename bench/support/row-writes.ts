import { setTimeout as delay } from "node:timers/promises";
import { Client } from "pg";
import { KeysteadError } from "../../src/errors.ts";

const DEADLINE_MS = 30_000;

/** Tables in which a process writes about itself: that a reign began, and each minute which keys it has configured. */
const ABOUT_THE_PROCESS = ["reigns", "key_encryption_keys"];

/** Rows inserted, updated and deleted. */
export interface RowWrites {
  /** In every table that holds what is kept for users, its audit events and their chain. */
  readonly kept: number;
  /** About the process itself. */
  readonly own: number;
}

/** Rows written so far in all tables of Keystead. Waits until the sessions that wrote have ended, which is when they report. */
export async function rowWrites(ownerUrl: string): Promise<RowWrites> {
  const client = new Client({ connectionString: ownerUrl });
  await client.connect();
  try {
    await sessionsEnded(client);
    const { rows } = await client.query<{ kept: string; own: string }>(
      `select coalesce(sum(writes) filter (where relname <> all($1)), 0) as kept,
              coalesce(sum(writes) filter (where relname = any($1)), 0) as own
         from (select relname, n_tup_ins + n_tup_upd + n_tup_del as writes
                 from pg_stat_user_tables where schemaname = 'keystead') as counted`,
      [ABOUT_THE_PROCESS],
    );
    return { kept: Number(rows[0]?.kept), own: Number(rows[0]?.own) };
  } finally {
    await client.end();
  }
}

async function sessionsEnded(client: Client): Promise<void> {
  const others = "select from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()";
  for (const giveUpAt = performance.now() + DEADLINE_MS; ((await client.query(others)).rowCount ?? 0) > 0;) {
    if (performance.now() > giveUpAt) throw new KeysteadError("part_failed", "sessions that wrote do not end");
    await delay(50);
  }
}

/** What was written since. */
export function writesSince(before: RowWrites, now: RowWrites): RowWrites {
  return { kept: now.kept - before.kept, own: now.own - before.own };
}
