import { Client, Pool } from "pg";
import { expect } from "vitest";
import { eventually } from "./eventually.ts";

/** Runs `work` with a connection of its own. */
export async function withClient<T>(url: string, work: (client: Client) => Promise<T>): Promise<T> {
  const client = new Client({ connectionString: url });
  await client.connect();
  try {
    return await work(client);
  } finally {
    await client.end();
  }
}

/** Connections for `query`, which waits ask with many times a second: a login each time would keep a core busy. */
const pools = new Map<string, Pool>();

/** Rows of one statement. The test says what they are; nothing checks it. */
export async function query<Row extends object>(url: string, text: string, values: unknown[] = []): Promise<Row[]> {
  const pool = pools.get(url) ?? new Pool({ connectionString: url, idleTimeoutMillis: 500, allowExitOnIdle: true });
  pools.set(url, pool);
  // An idle connection that the end of its database closes.
  if (pool.listenerCount("error") === 0) pool.on("error", () => undefined);
  return (await pool.query<Row>(text, values)).rows;
}

/**
 * How many rows were ever written to any table of ours, but for the rows that count how often a controller began and note
 * which keys are configured.
 * Sessions report their counts when they end, so this waits until those of Keystead have: to be called while none of its
 * processes runs.
 */
export async function countRowWrites(ownerUrl: string): Promise<number> {
  return withClient(ownerUrl, async (client) => {
    await eventually(async () => {
      const sessions = await client.query(
        "select from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()",
      );
      expect(sessions.rowCount).toBe(0);
    });
    const counted = await client.query<{ writes: string }>(
      `select sum(n_tup_ins + n_tup_upd + n_tup_del) as writes from pg_stat_user_tables
        where schemaname = 'keystead' and relname not in ('reigns', 'key_encryption_keys', 'audit_links')`,
    );
    return Number(counted.rows[0]?.writes);
  });
}
