import { Client } from "pg";

/**
 * Rows inserted, updated and deleted so far in all tables of Keystead, but for the one row that counts how often a
 * controller began. Exact only once the sessions that wrote have ended: each reports its counts at most once a second.
 */
export async function rowWrites(ownerUrl: string): Promise<number> {
  const client = new Client({ connectionString: ownerUrl });
  await client.connect();
  try {
    const { rows } = await client.query<{ writes: string }>(
      `select coalesce(sum(n_tup_ins + n_tup_upd + n_tup_del), 0) as writes
         from pg_stat_user_tables where schemaname = 'keystead' and relname not in ('reigns', 'key_encryption_keys', 'audit_links')`,
    );
    return Number(rows[0]?.writes);
  } finally {
    await client.end();
  }
}
