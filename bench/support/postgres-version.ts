import { execFile } from "node:child_process";
import { join } from "node:path";
import { promisify } from "node:util";
import { findPostgres } from "../../dev/postgres/postgres-binaries.ts";
import { postgresUser } from "../../dev/postgres/system-user.ts";

/** Version of the Postgres that the tables run on, as in `18.4`. */
export async function postgresVersion(): Promise<string> {
  const programs = await findPostgres(postgresUser());
  const { stdout } = await promisify(execFile)(join(programs, "postgres"), ["--version"]);
  return /\d+(?:\.\d+)?/.exec(stdout)?.[0] ?? stdout.trim();
}
