import { withClient } from "./database.ts";

/**
 * Lets time pass for what is soft-deleted: moves `deleted_at` back, with which the purge compares the database's clock. As a
 * replica would write it, because no reign of a controller does.
 */
export async function letTimePass(ownerUrl: string, interval: string): Promise<void> {
  await withClient(ownerUrl, async (client) => {
    await client.query("set session_replication_role = replica");
    for (const table of ["environments", "integrations", "connections"]) {
      await client.query(`update keystead.${table} set deleted_at = deleted_at - $1::interval`, [interval]);
    }
  });
}
