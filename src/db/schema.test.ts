import { afterAll, beforeAll, expect, test } from "vitest";
import { createDatabase } from "../../test/support/servers.ts";
import { Secret } from "../crypto/secret.ts";
import { openDatabase, type Database } from "./database.ts";

/** Hold nothing of an environment, or are how an environment is found in the first place. */
const GLOBAL_TABLES = [
  "audit_checkpoints",
  "audit_key_wrappings",
  "audit_keys",
  "audit_links",
  "audit_settings",
  "key_digests",
  "key_encryption_keys",
  "reigns",
  "schema_migrations",
  "stopped_sweeps",
  "token_issuers",
];

/** Serve questions that know a resource and no environment, or look for environments themselves. */
const LED_BY_SOMETHING_ELSE = [
  "audit_events_transaction",
  "connections_deleted_owner",
  "connections_owner",
  "environments_deleted",
  "environments_deleted_owner",
  "environments_owner",
  "integrations_deleted_owner",
  "integrations_owner",
  "superseded_owners_owner",
];

let shared: { readonly database: Database; [Symbol.asyncDispose](): Promise<void> };

beforeAll(async () => {
  const { url, ...testDatabase } = await createDatabase();
  const database = openDatabase({ url: new Secret(url), applicationName: "keystead-test", poolSize: 1 });
  shared = {
    database,
    async [Symbol.asyncDispose]() {
      await database[Symbol.asyncDispose]();
      await testDatabase[Symbol.asyncDispose]();
    },
  };
});

afterAll(() => shared[Symbol.asyncDispose]());

interface Index {
  readonly table: string;
  readonly index: string;
  readonly primary: boolean;
  readonly columns: readonly string[];
  readonly predicate: string | null;
}

test("every table with an environment's data leads its primary key with the environment", async () => {
  const primary = (await indexes()).filter((index) => index.primary && !GLOBAL_TABLES.includes(index.table));
  expect(primary.length).toBeGreaterThan(5);
  expect(primary.filter(({ columns }) => columns[0] !== "environment_id")).toEqual([]);
});

test("so does every index but those that are known and have their reason beside them", async () => {
  const others = (await indexes())
    .filter(({ table, columns }) => !GLOBAL_TABLES.includes(table) && columns[0] !== "environment_id")
    .map(({ index }) => index);
  expect(others.toSorted()).toEqual(LED_BY_SOMETHING_ELSE);
});

test("every unique index of environment data contains the environment, but the one that finds environments", async () => {
  const without = await shared.database.query<{ index: string }>(
    `select c.relname as index from pg_index i join pg_class c on c.oid = i.indexrelid
       join pg_class t on t.oid = i.indrelid join pg_namespace n on n.oid = t.relnamespace
      where n.nspname = 'keystead' and i.indisunique and t.relname <> all ($1)
        and not exists (select from pg_attribute a where a.attrelid = t.oid and a.attname = 'environment_id' and a.attnum = any (i.indkey))`,
    [GLOBAL_TABLES],
  );
  expect(without).toEqual([{ index: "environments_owner" }]);
});

test("deleted rows weigh on no index that serves the living", async () => {
  const living = [
    "connections_connection_id",
    "connections_end_user",
    "connections_owner",
    "integrations_unique_key",
    "integrations_owner",
  ];
  const found = (await indexes()).filter(({ index }) => living.includes(index));
  expect(found.map(({ index }) => index).toSorted()).toEqual(living.toSorted());
  for (const { predicate } of found) expect(predicate).toContain("deleted_at IS NULL");
});

test("every foreign key has an index, so that deleting what it points to reads no whole table", async () => {
  const unindexed = await shared.database.query(
    `select k.conrelid::regclass::text as table, k.conname as key
       from pg_constraint k
      where k.contype = 'f' and k.connamespace = 'keystead'::regnamespace
        and not exists (
          select from pg_index i
           where i.indrelid = k.conrelid
             and (i.indkey::int2[])[0:cardinality(k.conkey) - 1] @> k.conkey
        )`,
  );
  expect(unindexed).toEqual([]);
});

test("sealed columns hold bytes, and each has the revision it was sealed at beside it", async () => {
  const columns = await shared.database.query<{ name: string; type: string; sibling: string | null }>(
    `select c.table_name || '.' || c.column_name as name, c.data_type as type, s.column_name as sibling
       from information_schema.columns c
       left join information_schema.columns s
         on s.table_schema = c.table_schema and s.table_name = c.table_name
        and s.column_name = regexp_replace(c.column_name, '_sealed$', '_revision')
      where c.table_schema = 'keystead' and c.column_name like '%\\_sealed'
      order by 1`,
  );
  expect(columns.map(({ name, type }) => `${name} ${type}`)).toEqual([
    "connections.config_sealed bytea",
    "connections.credentials_sealed bytea",
    "environments.digest_key_sealed bytea",
    "environments.variables_sealed bytea",
    "integrations.client_sealed bytea",
    "secret_keys.secret_key_sealed bytea",
  ]);
  // The digest key is sealed once and never again.
  expect(columns.filter(({ sibling }) => sibling === null).map(({ name }) => name)).toEqual([
    "environments.digest_key_sealed",
  ]);
});

async function indexes(): Promise<Index[]> {
  return shared.database.query<Index>(
    `select t.relname as table, c.relname as index, i.indisprimary as primary,
            array(select pg_get_indexdef(c.oid, n, true) from generate_series(1, i.indnkeyatts) n) as columns,
            pg_get_expr(i.indpred, i.indrelid) as predicate
       from pg_index i
       join pg_class c on c.oid = i.indexrelid
       join pg_class t on t.oid = i.indrelid
      where t.relnamespace = 'keystead'::regnamespace and not t.relispartition`,
  );
}
