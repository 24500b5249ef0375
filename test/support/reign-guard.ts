import { withClient } from "./database.ts";

/**
 * Makes every transaction fail that changes what a resource declares, or deletes its row, without holding a reign: whoever
 * adds an operation and forgets it cannot have a test that passes. Holding a reign leaves a lock on its table until the end.
 */
export async function refuseUnheldWrites(ownerUrl: string): Promise<void> {
  await withClient(ownerUrl, async (client) => {
    await client.query(`
      create function public.refuse_unheld_write() returns trigger language plpgsql as $$
      begin
        if not exists (
          select from pg_locks
           where pid = pg_backend_pid() and relation = 'keystead.reigns'::regclass and mode = 'RowShareLock'
        ) then
          raise exception 'a row of % was written without holding a reign', tg_table_name;
        end if;
        return null;
      end
      $$`);
    for (const table of ["environments", "integrations", "connections"]) {
      await client.query(`
        create constraint trigger refuse_unheld_write
          after insert or update of declaration_digest, sources, deleted_at on keystead.${table}
          deferrable initially deferred
          for each row when (new.owner_uid is not null) execute function public.refuse_unheld_write()`);
    }
  });
}
