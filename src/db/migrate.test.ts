import { randomBytes } from "node:crypto";
import { expect, test } from "vitest";
import { withClient } from "../../test/support/database.ts";
import { eventually } from "../../test/support/eventually.ts";
import { createDatabase, createEmptyDatabase, type TestDatabase } from "../../test/support/servers.ts";
import { Secret } from "../crypto/secret.ts";
import { openDatabase } from "./database.ts";
import { checkMigrations, checkSchema, migrate, type MigrateOptions } from "./migrate.ts";
import { readMigrations, type Migration } from "./migrations.ts";

const RUNTIME_ROLE = "keystead_runtime";
const CURRENT = readMigrations().length;
const ALL = readMigrations().map(({ name }) => name);

test("an empty database is brought to the current schema, and a second time nothing happens", async () => {
  await using empty = await createEmptyDatabase();
  expect(await checkMigrations(owner(empty))).toMatchObject({ version: 0, pending: ALL });
  expect(await migrate(options(empty))).toMatchObject({ version: CURRENT, pending: ALL });
  expect(await migrate(options(empty))).toEqual({ version: CURRENT, codeVersion: CURRENT, pending: [] });
  expect(await checkMigrations(owner(empty))).toMatchObject({ pending: [] });
});

test("of two migrators at once one does the work and the other finds it done", async () => {
  await using empty = await createEmptyDatabase();
  const states = await Promise.all([1, 2, 3].map(() => migrate(options(empty))));
  expect(states.map(({ version }) => version)).toEqual([CURRENT, CURRENT, CURRENT]);
  expect(states.filter(({ pending }) => pending.length > 0)).toHaveLength(1);
});

test("two databases of one server may be migrated at once while neither finds the running role", async () => {
  await using first = await createEmptyDatabase();
  await using second = await createEmptyDatabase();
  const runtimeRole = `keystead_test_${randomBytes(5).toString("hex")}`;
  await Promise.all([first, second].map((database) => migrate({ ...options(database), runtimeRole })));
  expect(await grantsOf(first, runtimeRole)).toEqual(await grantsOf(second, runtimeRole));
});

test("a migration that waits for a table lets others by, and tries again until it has it", async () => {
  await using database = await createDatabase();
  const migrations = [...readMigrations(), migration(CURRENT + 1, "alter table keystead.connections add later int")];
  const waiting = "select from pg_locks where not granted and relation = 'keystead.connections'::regclass";
  await withClient(database.ownerUrl, async (holder) => {
    const isWaiting = async (): Promise<boolean> => ((await holder.query(waiting)).rowCount ?? 0) > 0;
    await holder.query("begin; lock table keystead.connections in access share mode");
    const migrating = migrate({ ...options(database), migrations, lockPauseMs: 500 });
    await eventually(async () => expect(await isWaiting()).toBe(true));
    await eventually(async () => expect(await isWaiting()).toBe(false));
    await holder.query("commit");
    expect(await migrating).toMatchObject({ version: CURRENT + 1 });
  });
});

test("a migration that fails leaves nothing of itself or those before it", async () => {
  await using empty = await createEmptyDatabase();
  const migrations = [...readMigrations(), migration(CURRENT + 1, "create table keystead.half (id int); select 1 / 0")];
  await expect(migrate({ ...options(empty), migrations })).rejects.toMatchObject({ code: "database_value_refused" });
  expect(await checkMigrations(owner(empty))).toMatchObject({ version: 0 });
});

test("a database that is ahead is worked with as long as it says this code may", async () => {
  await using database = await createDatabase();
  const migrations = [...readMigrations(), migration(CURRENT + 1, "create table keystead.later (id int)", CURRENT)];
  await migrate({ ...options(database), migrations });
  expect(await migrate(options(database))).toMatchObject({ version: CURRENT + 1, pending: [] });
  await using running = open(database);
  expect(await checkSchema(running)).toMatchObject({ version: CURRENT + 1, codeVersion: CURRENT });
});

test("a database that left this code behind is refused by migrator, check and running processes", async () => {
  await using database = await createDatabase();
  const migrations = [...readMigrations(), migration(CURRENT + 1, "select 1", CURRENT + 1)];
  await migrate({ ...options(database), migrations });
  const refused = { code: "code_outdated", details: { needed: CURRENT + 1, codeVersion: CURRENT } };
  await expect(migrate(options(database))).rejects.toMatchObject(refused);
  await expect(checkMigrations(owner(database))).rejects.toMatchObject(refused);
  await using running = open(database);
  await expect(checkSchema(running)).rejects.toMatchObject(refused);
});

test("an applied migration that was edited since is found", async () => {
  await using database = await createDatabase();
  const edited = readMigrations().map((known) => Object.assign(known, { checksum: "0".repeat(64) }));
  await expect(migrate({ ...options(database), migrations: edited })).rejects.toMatchObject({
    code: "migration_changed",
  });
});

test("a running process on a database that was never migrated says what to do", async () => {
  await using empty = await createEmptyDatabase();
  await using running = open(empty);
  await expect(checkSchema(running)).rejects.toMatchObject({
    code: "schema_outdated",
    message: expect.stringContaining("keystead migrate"),
  });
});

test("a role that may not create the schema is told so, and nothing is changed", async () => {
  await using empty = await createEmptyDatabase();
  const refused = migrate({ ...options(empty), ownerUrl: new Secret(empty.url) });
  await expect(refused).rejects.toMatchObject({ code: "database_forbidden" });
});

test("a server that cannot be reached is an error, not a hang", async () => {
  const ownerUrl = new Secret("postgres://keystead:canary-6e1f@127.0.0.1:1/keystead");
  const failure = await migrate({ ownerUrl, runtimeRole: RUNTIME_ROLE }).catch((thrown: unknown) => thrown);
  expect(failure).toMatchObject({ code: "database_unavailable" });
  expect(String(failure)).not.toContain("canary");
});

test.each(["", "Keystead", "a-b", "a; drop schema keystead", "1a", "a".repeat(64)])(
  "%j is no name for the running role",
  async (runtimeRole) => {
    const refused = migrate({ ownerUrl: new Secret("postgres://nowhere"), runtimeRole });
    await expect(refused).rejects.toMatchObject({ code: "configuration_invalid" });
  },
);

test("the migrations of this version have consecutive numbers and say which code may work with them", () => {
  for (const [index, { version, minCodeVersion }] of readMigrations().entries()) {
    expect(version).toBe(index + 1);
    expect(minCodeVersion).toBeLessThanOrEqual(version);
  }
});

function migration(version: number, sql: string, minCodeVersion = 1): Migration {
  return { version, name: `test-${version}`, sql, checksum: randomBytes(32).toString("hex"), minCodeVersion };
}

function owner({ ownerUrl }: TestDatabase): { ownerUrl: Secret } {
  return { ownerUrl: new Secret(ownerUrl) };
}

function options(database: TestDatabase): MigrateOptions {
  return { ...owner(database), runtimeRole: RUNTIME_ROLE };
}

function open({ url }: TestDatabase) {
  return openDatabase({ url: new Secret(url), applicationName: "keystead-test", poolSize: 1 });
}

async function grantsOf({ ownerUrl }: TestDatabase, role: string) {
  await using database = openDatabase({ url: new Secret(ownerUrl), applicationName: "owner", poolSize: 1 });
  return database.query(
    `select table_name, privilege_type from information_schema.role_table_grants
      where table_schema = 'keystead' and grantee = $1 order by 1, 2`,
    [role],
  );
}
