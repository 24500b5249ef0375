import { expect, test } from "vitest";
import { createDatabase } from "../../test/support/servers.ts";
import { Secret } from "../crypto/secret.ts";
import { openDatabase } from "./database.ts";

test.each([
  ["make a table", "create table keystead.own (id int)"],
  ["make a schema", "create schema own"],
  ["change a table", "alter table keystead.connections add column plaintext text"],
  ["drop a table", "drop table keystead.connections"],
  ["empty a table in one go", "truncate keystead.connections"],
  ["attach a trigger", "create trigger t before insert on keystead.connections execute function f()"],
  ["drop an index", "drop index keystead.connections_connection_id"],
  ["change an audit event", "update keystead.audit_events set actor = 'nobody'"],
  ["remove an audit event", "delete from keystead.audit_events"],
  ["reach around the audit table into one of its days", "select from keystead.audit_events_default"],
  ["change a link of the audit chain", "update keystead.audit_links set mac = ''"],
  ["remove a link of the audit chain", "delete from keystead.audit_links"],
  ["change a checkpoint of the audit chain", "update keystead.audit_checkpoints set sequence = 0"],
  ["shorten how long audit events are kept", "update keystead.audit_settings set retention_days = 1"],
  ["drop a day of audit events", "drop table keystead.audit_events_default"],
  ["lock audit events for changing", "select from keystead.audit_events for update"],
  ["change what migrations say", "delete from keystead.schema_migrations"],
  ["change the proof of a key", "update keystead.key_encryption_keys set check_value = ''"],
  ["forget which reign is the newest", "delete from keystead.reigns"],
  ["change a wrapped key", "update keystead.data_key_wrappings set wrapped = ''"],
])("the running role may not %s", async (_, text) => {
  await using context = await openAsRunningRole();
  await expect(context.database.query(text)).rejects.toMatchObject({
    code: "database_forbidden",
    details: { sqlState: "42501" },
  });
});

test("the running role may read every table and add audit events", async () => {
  await using context = await openAsRunningRole();
  const tables = await context.database.query<{ tablename: string; readable: boolean }>(
    `select tablename, has_table_privilege(format('keystead.%I', tablename), 'select') as readable
       from pg_tables
      where schemaname = 'keystead'
        and not (select relispartition from pg_class where oid = format('keystead.%I', tablename)::regclass)`,
  );
  expect(tables.filter(({ readable }) => !readable)).toEqual([]);
  const rights = await context.database.query(
    `select has_table_privilege('keystead.audit_events', 'insert') as insert,
            has_table_privilege('keystead.audit_events', 'update, delete, truncate') as change`,
  );
  expect(rights).toEqual([{ insert: true, change: false }]);
});

test("nobody else gets anything", async () => {
  await using context = await openAsRunningRole();
  const granted = await context.database.query(
    `select table_name, privilege_type from information_schema.role_table_grants
      where table_schema = 'keystead' and grantee = 'PUBLIC'`,
  );
  expect(granted).toEqual([]);
});

async function openAsRunningRole() {
  const { url, ...testDatabase } = await createDatabase();
  const database = openDatabase({ url: new Secret(url), applicationName: "keystead-test", poolSize: 1 });
  return {
    database,
    async [Symbol.asyncDispose]() {
      await database[Symbol.asyncDispose]();
      await testDatabase[Symbol.asyncDispose]();
    },
  };
}
