import { withClient } from "./database.ts";

/** What has to be told of, and the column with the id that the event is about. */
const WATCHED = [
  { table: "environments", id: "environment_id" },
  { table: "integrations", id: "integration_id" },
  { table: "connections", id: "connection_row_id" },
] as const;

/**
 * Makes every transaction of the running role fail that makes, changes, deletes, restores or purges something and leaves no
 * audit event about it, or about its whole environment (an environment changes with its keys): whoever adds an operation and forgets it cannot have a test that passes.
 */
export async function refuseUnauditedWrites(ownerUrl: string): Promise<void> {
  await withClient(ownerUrl, async (client) => {
    await client.query(`
      create function public.refuse_unaudited_write() returns trigger language plpgsql security definer as $$
      declare
        changed jsonb := to_jsonb(case when tg_op = 'DELETE' then old else new end);
      begin
        if not exists (
          select from keystead.audit_events
           where transaction_id = pg_current_xact_id()
             and environment_id = (changed ->> 'environment_id')::uuid
             and (target_id in ((changed ->> tg_argv[0])::uuid, environment_id) or tg_table_name = 'environments')
        ) then
          raise exception '% of % in % has no audit event', tg_op, changed ->> tg_argv[0], tg_table_name;
        end if;
        return null;
      end
      $$`);
    // Tests prepare rows as the owner.
    const byKeystead = "session_user = 'keystead_test'";
    for (const { table, id } of WATCHED) {
      const rest = `on keystead.${table} deferrable initially deferred for each row`;
      const run = `execute function public.refuse_unaudited_write('${id}')`;
      await client.query(`
        create constraint trigger refuse_unaudited_row after insert or delete ${rest}
          when (${byKeystead}) ${run};
        create constraint trigger refuse_unaudited_change after update ${rest}
          when (${byKeystead} and (old.revision <> new.revision or (old.deleted_at is null) <> (new.deleted_at is null))) ${run}`);
    }
  });
}
