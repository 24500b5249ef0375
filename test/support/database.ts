import { Client } from "pg";
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

/** Rows of one statement. The test says what they are; nothing checks it. */
export async function query<Row extends object>(url: string, text: string, values: unknown[] = []): Promise<Row[]> {
  return withClient(url, async (client) => (await client.query<Row>(text, values)).rows);
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
