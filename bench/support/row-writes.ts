import { Client } from "pg";

/** Tables in which a process writes about itself: that a reign began, and each minute which keys it has configured. */
const ABOUT_THE_PROCESS = ["reigns", "key_encryption_keys"];

/** Rows inserted, updated and deleted. */
export interface RowWrites {
  /** In every table that holds what is kept for users, its audit events and their chain. */
  readonly kept: number;
  /** About the process itself. */
  readonly own: number;
}

/**
 * Rows written so far in all tables of Keystead. Exact only once the sessions that wrote have ended: each reports its
 * counts at most once a second.
 */
export async function rowWrites(ownerUrl: string): Promise<RowWrites> {
  const client = new Client({ connectionString: ownerUrl });
  await client.connect();
  try {
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

/** What was written since. */
export function writesSince(before: RowWrites, now: RowWrites): RowWrites {
  return { kept: now.kept - before.kept, own: now.own - before.own };
}
