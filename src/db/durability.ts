import { KeysteadError } from "../errors.ts";
import type { Queryable } from "./session-pool.ts";

/**
 * Shows that a commit is on the server's disk when it is answered: an answer that speaks of what was recorded must not outlive
 * the record. Sessions ask for that themselves; through a pooler, and with other `options` in the URL, the server decides.
 * Rejects with `database_not_durable` or another `database_*` error.
 */
export async function proveDurability(database: Queryable): Promise<void> {
  const [row] = await database.query<{ readonly setting: string }>(
    "select current_setting('synchronous_commit') as setting",
  );
  if (row?.setting !== "off") return;
  throw new KeysteadError(
    "database_not_durable",
    "synchronous_commit is off for this login and cannot be set from here: alter role ... set synchronous_commit = on",
  );
}
