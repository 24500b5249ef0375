import { afterAll, beforeAll, expect, test } from "vitest";
import { parsedConnection, parsedEnvironment, parsedIntegration } from "../../test/support/parsed-resources.ts";
import {
  createTestVault,
  desiredConnection,
  desiredEnvironment,
  desiredIntegration,
  idsOf,
  type Parents,
  storeParents,
  type TestVault,
} from "../../test/support/vault.ts";
import { Secret } from "../crypto/secret.ts";
import { openDatabase } from "../db/database.ts";
import { softDeleteConnection } from "../vault/soft-delete-connection.ts";
import { storeConnection } from "../vault/store-connection.ts";
import { storeEnvironment } from "../vault/store-environment.ts";
import { storeIntegration } from "../vault/store-integration.ts";
import { createRows } from "./rows.ts";

const FINALIZED = { finalizers: ["keystead.dev/finalizer"] };
let context: TestVault;
let parents: Parents;

beforeAll(async () => {
  context = await createTestVault();
  parents = await storeParents(context.vault);
});
afterAll(() => context[Symbol.asyncDispose]());

test("the row of a resource is found by its uid", async () => {
  const rows = createRows(context.vault);
  const environment = parsedEnvironment("production", {}, { ...FINALIZED, uid: parents.environment.owner.uid });
  const integration = parsedIntegration("github", {}, { ...FINALIZED, uid: parents.integration.owner.uid });

  expect((await rows.environment(environment))?.id).toBe(parents.environmentId);
  expect((await rows.integration(integration))?.id).toBe(parents.integrationId);
  expect(await rows.environmentId(environment)).toBe(parents.environmentId);
  expect(await rows.integrationId(integration, parents.environmentId)).toBe(parents.integrationId);
  expect(await rows.integrationId(integration, "another"), "its row went with its former environment").toBeUndefined();
  expect(await rows.connection(parsedConnection("never-stored", {}, FINALIZED))).toBeUndefined();
});

test("a resource without our finalizer has no row, so the database is not asked", async () => {
  const url = new Secret("postgres://keystead@127.0.0.1:1/nowhere");
  await using database = openDatabase({ url, applicationName: "keystead-test" });
  const rows = createRows({ ...context.vault, database });

  expect(await rows.connection(parsedConnection())).toBeUndefined();
  expect(await rows.environmentId(parsedEnvironment())).toBeUndefined();
  await rows.prefetch("Connection", [parsedConnection()]);
});

/** Rows over a vault that counts its queries. */
function countingRows() {
  let queries = 0;
  const { database } = context.vault;
  const query: typeof database.query = (text, values) => {
    queries += 1;
    return database.query(text, values);
  };
  return { rows: createRows({ ...context.vault, database: { ...database, query } }), queries: () => queries };
}

test("passes over any kind that ask at the same moment share a query, and those that were loaded ahead make none", async () => {
  const uids = Array.from({ length: 500 }, (_, index) => `5d3f2c1a-0000-4000-8000-${String(index).padStart(12, "0")}`);
  const kinds = {
    Environment: { make: parsedEnvironment, find: "environment" },
    Integration: { make: parsedIntegration, find: "integration" },
    Connection: { make: parsedConnection, find: "connection" },
  } as const;
  for (const [kind, { make, find }] of Object.entries(kinds)) {
    const resources = uids.map((uid) => make("any", {}, { ...FINALIZED, uid }));
    const together = countingRows();
    await Promise.all(resources.map((resource) => together.rows[find](resource)));
    expect(together.queries(), kind).toBe(1);

    const ahead = countingRows();
    await ahead.rows.prefetch(resources[0]?.kind ?? expect.unreachable(), resources);
    for (const resource of resources) await ahead.rows[find](resource);
    expect(ahead.queries(), kind).toBe(1);
  }
});

test("an id is known from the moment it is learnt, and only the first time is news", async () => {
  const rows = createRows(context.vault);
  const environment = parsedEnvironment("new", {}, { uid: "5d3f2c1a-0000-4000-8000-000000000001" });
  const row = { id: "id-1", environmentId: "id-1" };
  expect(rows.learn(environment.metadata.uid, row)).toBe(true);
  expect(rows.learn(environment.metadata.uid, row)).toBe(false);
  expect(await rows.environmentId(environment)).toBe("id-1");

  rows.forget(environment.metadata.uid);
  expect(await rows.environmentId(environment)).toBeUndefined();
});

test("who asked in vain is to be told, although somebody else has found the row meanwhile", async () => {
  const rows = createRows(context.vault);
  const declared = desiredEnvironment();
  const environment = parsedEnvironment("late", {}, { ...FINALIZED, uid: declared.owner.uid });
  expect(await rows.environmentId(environment)).toBeUndefined();
  const { id: environmentId } = await storeEnvironment(context.vault, declared);
  expect(await rows.environmentId(environment)).toBe(environmentId);
  const row = { id: environmentId, environmentId };
  expect(rows.learn(environment.metadata.uid, row)).toBe(true);
  expect(rows.learn(environment.metadata.uid, row)).toBe(false);

  const desired = desiredIntegration({ environmentId, environmentUid: declared.owner.uid });
  const integration = parsedIntegration("github", {}, { ...FINALIZED, uid: desired.owner.uid });
  expect(await rows.integrationId(integration, environmentId)).toBeUndefined();
  const { id } = await storeIntegration(context.vault, desired);
  expect(await rows.integrationId(integration, environmentId)).toBe(id);
  expect(rows.learn(integration.metadata.uid, { id, environmentId })).toBe(true);
  expect(rows.learn(integration.metadata.uid, { id, environmentId })).toBe(false);
});

test("an id that is learnt while the database is asked for it is known to who asked", async () => {
  const rows = createRows(context.vault);
  const uids = ["5d3f2c1a-0000-4000-8000-000000000003", "5d3f2c1a-0000-4000-8000-000000000004"] as const;
  const asked = [
    rows.environmentId(parsedEnvironment("soon", {}, { ...FINALIZED, uid: uids[0] })),
    rows.integrationId(parsedIntegration("soon", {}, { ...FINALIZED, uid: uids[1] }), "id-1"),
  ];
  for (const uid of uids) rows.learn(uid, { id: "id-1", environmentId: "id-1" });
  expect(await Promise.all(asked)).toEqual(["id-1", "id-1"]);
});

test("a row that was loaded ahead is handed out once, and read anew after that", async () => {
  const rows = createRows(context.vault);
  const desired = desiredConnection(idsOf(parents), { connectionId: "ahead" });
  const { id } = await storeConnection(context.vault, desired);
  const resource = parsedConnection("ahead", {}, { ...FINALIZED, uid: desired.owner.uid });
  await rows.prefetch("Connection", [resource]);
  await softDeleteConnection(context.vault, desired.owner.uid, { kind: "system", name: "test" });

  expect((await rows.connection(resource))?.id, "as it was when it was loaded").toBe(id);
  expect(await rows.connection(resource)).toBeUndefined();
});

test("that there is no row is loaded ahead as well, and forgotten with its resource", async () => {
  const rows = createRows(context.vault);
  const desired = desiredConnection(idsOf(parents), { connectionId: "absent" });
  const resource = parsedConnection("absent", {}, { ...FINALIZED, uid: desired.owner.uid });
  await rows.prefetch("Connection", [resource]);
  const { id } = await storeConnection(context.vault, desired);
  rows.forget(desired.owner.uid);

  expect((await rows.connection(resource))?.id).toBe(id);
});

test("what was loaded ahead is not believed any more once a parent was released", async () => {
  const rows = createRows(context.vault);
  const desired = desiredConnection(idsOf(parents), { connectionId: "orphan" });
  await storeConnection(context.vault, desired);
  const resource = parsedConnection("orphan", {}, { ...FINALIZED, uid: desired.owner.uid });
  rows.learn("uid-of-the-parent", { id: "id", environmentId: "id" });
  await rows.prefetch("Connection", [resource]);
  await softDeleteConnection(context.vault, desired.owner.uid, { kind: "system", name: "test" });
  rows.forget("uid-of-the-parent");

  expect(await rows.connection(resource)).toBeUndefined();
});

test("what nobody asked for is dropped with the load after the next", async () => {
  const rows = createRows(context.vault);
  const desired = desiredConnection(idsOf(parents), { connectionId: "suspended" });
  const resource = parsedConnection("suspended", {}, { ...FINALIZED, uid: desired.owner.uid });
  await rows.prefetch("Connection", [resource]);
  const { id } = await storeConnection(context.vault, desired);
  const other = parsedConnection("other", {}, { ...FINALIZED, uid: "5d3f2c1a-0000-4000-8000-000000000002" });
  await rows.prefetch("Connection", [other]);
  await rows.prefetch("Connection", [other]);

  expect((await rows.connection(resource))?.id).toBe(id);
});
