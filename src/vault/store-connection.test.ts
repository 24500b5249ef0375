import { expect, test } from "vitest";
import { query } from "../../test/support/database.ts";
import { apiKey, desiredConnection, idsOf, newOwner, storeExample, storeParents } from "../../test/support/vault.ts";
import { createTestVault, type TestVault } from "../../test/support/vault.ts";
import type { DesiredConnection } from "./connection.ts";
import { sealJson } from "./seal.ts";
import { softDeleteEnvironment } from "./soft-delete-environment.ts";
import { softDeleteIntegration } from "./soft-delete-integration.ts";
import { storeConnection } from "./store-connection.ts";
import { storeEnvironment } from "./store-environment.ts";

const SYSTEM = { kind: "system", name: "test" } as const;

test("the first call creates the row; the same again writes nothing", async () => {
  await using context = await createTestVault();
  const { desired, stored } = await storeExample(context.vault);
  expect(stored).toMatchObject({ revision: 1, changed: true, credentialsType: "API_KEY" });
  const before = await rowOf(context, stored.id);
  expect(await storeConnection(context.vault, desired)).toEqual({ ...stored, changed: false });
  expect(await rowOf(context, stored.id)).toEqual(before);
});

test("only the part that differs is encrypted and written, and the event names it", async () => {
  await using context = await createTestVault();
  const { desired, stored } = await storeExample(context.vault);
  const before = await rowOf(context, stored.id);
  const changed = await storeConnection(context.vault, { ...desired, credentials: apiKey("a new token") });
  expect(changed).toMatchObject({ id: stored.id, revision: 2, changed: true });
  const after = await rowOf(context, stored.id);
  expect(after).toMatchObject({ credentials_revision: 2, config_revision: 1, config_sealed: before?.config_sealed });
  expect(after?.credentials_sealed).not.toEqual(before?.credentials_sealed);
  expect(await eventsOf(context, stored.id)).toEqual([
    { action: "connection.created", actor: desired.owner.uid, fields: [], target_revision: 1 },
    { action: "connection.updated", actor: desired.owner.uid, fields: ["credentials"], target_revision: 2 },
  ]);
});

test("a Secret that changed without its content changing costs one write and is no event", async () => {
  await using context = await createTestVault();
  const { desired, stored } = await storeExample(context.vault);
  const sources = [{ name: "acme", uid: "b", resourceVersion: "2" }];
  expect(await storeConnection(context.vault, { ...desired, sources })).toMatchObject({ revision: 1, changed: false });
  expect(await rowOf(context, stored.id)).toMatchObject({ revision: 1, sources });
  expect(await eventsOf(context, stored.id)).toHaveLength(1);
});

test("a refreshed token is not overwritten by the seed it came from, only by another seed", async () => {
  await using context = await createTestVault();
  const parents = await storeParents(context.vault);
  const desired = desiredConnection(idsOf(parents), { credentials: seed("first") });
  const stored = await storeConnection(context.vault, desired);
  await replaceCredentials(context, stored, { type: "OAUTH2", access_token: "refreshed" });

  const reapplied = await storeConnection(context.vault, { ...desired, tags: { team: "support" } });
  expect(reapplied).toMatchObject({ revision: 3, changed: true });
  expect(await credentialsOf(context, stored.id)).toContain("refreshed");
  await storeConnection(context.vault, { ...desired, credentials: seed("second") });
  expect(await credentialsOf(context, stored.id)).toContain("second");
});

test("credentials that were not read again stay, while everything else is updated", async () => {
  await using context = await createTestVault();
  const { desired, stored } = await storeExample(context.vault);
  const update = await storeConnection(context.vault, {
    ...desired,
    credentials: "unchanged",
    config: { region: "eu" },
  });
  expect(update).toMatchObject({
    revision: 2,
    credentialsType: "API_KEY",
    digests: { credentials: stored.digests.credentials },
  });
  expect(await credentialsOf(context, stored.id)).toContain("token-of-acme");
});

test("credentials cannot be called unchanged when they are declared otherwise, or nothing is stored", async () => {
  await using context = await createTestVault();
  const { desired, ...parents } = await storeExample(context.vault);
  const redeclared = { ...desired, credentials: "unchanged" as const, declaration: { basic: {} } };
  await expect(storeConnection(context.vault, redeclared)).rejects.toMatchObject({
    code: "row_changed",
    retryable: true,
  });
  const unknown = desiredConnection(idsOf(parents), { connectionId: "other", credentials: "unchanged" });
  await expect(storeConnection(context.vault, unknown)).rejects.toMatchObject({ code: "row_changed" });
});

test("credentials leave with their declaration, but not those that no declaration brought", async () => {
  await using context = await createTestVault();
  const { desired, stored } = await storeExample(context.vault);
  const undeclared = { ...desired, credentials: undefined, declaration: null };
  expect(await storeConnection(context.vault, undeclared)).toMatchObject({ credentialsType: undefined });
  expect(await rowOf(context, stored.id)).toMatchObject({ credentials_sealed: null, credentials_revision: null });

  await replaceCredentials(context, { ...stored, revision: 2 }, { type: "OAUTH2", access_token: "from a browser" });
  await storeConnection(context.vault, { ...undeclared, tags: {} });
  expect(await credentialsOf(context, stored.id)).toContain("from a browser");
});

test("metadata belongs to the API until the resource declares it", async () => {
  await using context = await createTestVault();
  const { desired, stored } = await storeExample(context.vault);
  await context.database.query('update keystead.connections set metadata = \'{"by": "api"}\'');
  await storeConnection(context.vault, { ...desired, tags: {} });
  expect(await rowOf(context, stored.id)).toMatchObject({ metadata: { by: "api" }, metadata_declared: false });
  await storeConnection(context.vault, { ...desired, metadata: { by: "resource" } });
  expect(await rowOf(context, stored.id)).toMatchObject({ metadata: { by: "resource" }, metadata_declared: true });
});

test("a connection id that another resource or the API holds is not taken over, whoever comes first", async () => {
  await using context = await createTestVault();
  const { desired, stored, ...parents } = await storeExample(context.vault);
  const rival = desiredConnection(idsOf(parents), { owner: newOwner("rival"), connectionId: "acme" });
  await expect(storeConnection(context.vault, rival)).rejects.toMatchObject({
    code: "connection_id_in_use",
    details: { holder: { id: stored.id, uid: desired.owner.uid, namespace: "shop", name: "acme" } },
  });
  await context.database.query("update keystead.connections set owner_uid = null, owner_name = null");
  await expect(storeConnection(context.vault, rival)).rejects.toMatchObject({
    code: "connection_id_in_use",
    details: { holder: { id: stored.id, uid: null } },
  });
  expect(await credentialsOf(context, stored.id)).toContain("token-of-acme");
});

test("in a batch every item ends on its own: stored, in use, refused by Postgres, without an environment", async () => {
  await using context = await createTestVault();
  const parents = await storeParents(context.vault);
  const named = (connectionId: string, changes: Partial<DesiredConnection> = {}) =>
    storeConnection(context.vault, desiredConnection(idsOf(parents), { connectionId, ...changes }));
  const outcomes = await Promise.allSettled([
    named("a"),
    named("a"),
    named("b", { tags: { team: "nul \0" } }),
    named("c", { environmentId: "00000000-0000-7000-8000-000000000000" }),
    named("d", { integrationId: "00000000-0000-7000-8000-000000000000" }),
    named("e", { expectedRevision: 4 }),
    named("f"),
  ]);
  expect(outcomes).toMatchObject([
    { status: "fulfilled", value: { connectionId: "a" } },
    { status: "rejected", reason: { code: "connection_id_in_use" } },
    { status: "rejected", reason: { code: "database_value_refused" } },
    { status: "rejected", reason: { code: "environment_gone" } },
    { status: "rejected", reason: { code: "integration_gone" } },
    { status: "rejected", reason: { code: "row_changed" } },
    { status: "fulfilled", value: { connectionId: "f" } },
  ]);
});

test("connections stored at one moment share their statements", async () => {
  await using context = await createTestVault();
  const parents = await storeParents(context.vault);
  const all = Array.from({ length: 200 }, (_, index) =>
    desiredConnection(idsOf(parents), { connectionId: `c${index}` }),
  );
  await Promise.all(all.map((desired) => storeConnection(context.vault, desired)));
  const [count] = await context.database.query<{ rows: number; statements: number }>(
    "select count(*) as rows, count(distinct created_at) as statements from keystead.connections",
  );
  expect(count?.rows).toBe(200);
  // 32 rows each, and the last one of what is left.
  expect(count?.statements).toBeLessThanOrEqual(7);
});

test("two processes that store one resource for the first time end with one row", async () => {
  await using context = await createTestVault();
  const parents = await storeParents(context.vault);
  const processes = await Promise.all([context.another(), context.another(), context.another()]);
  for (let resource = 0; resource < 20; resource += 1) {
    const desired = desiredConnection(idsOf(parents), { connectionId: `c${resource}` });
    const stored = await Promise.all(processes.map((vault) => storeConnection(vault, desired)));
    expect(new Set(stored.map(({ id }) => id)).size).toBe(1);
    expect(stored.filter(({ changed }) => changed)).toHaveLength(1);
  }
});

test("writers of one row that saw the same revision: one wins, the others are told to look again", async () => {
  await using context = await createTestVault();
  const { desired, stored } = await storeExample(context.vault);
  const processes = await Promise.all([context.another(), context.another()]);
  const outcomes = await Promise.allSettled(
    processes.map((vault, index) =>
      storeConnection(vault, { ...desired, expectedRevision: 1, credentials: apiKey(`from process ${index}`) }),
    ),
  );
  expect(outcomes.filter(({ status }) => status === "fulfilled")).toHaveLength(1);
  expect(outcomes.find(({ status }) => status === "rejected")).toMatchObject({ reason: { code: "row_changed" } });
  expect(await rowOf(context, stored.id)).toMatchObject({ revision: 2, credentials_revision: 2 });
});

test("writers that expect nothing in particular all get through, one after the other", async () => {
  await using context = await createTestVault();
  const { desired, stored } = await storeExample(context.vault);
  const processes = await Promise.all([context.another(), context.another()]);
  await Promise.all(
    processes.map((vault, index) => storeConnection(vault, { ...desired, tags: { by: String(index) } })),
  );
  expect(await rowOf(context, stored.id)).toMatchObject({ revision: 3 });
});

test("nothing can be added to what is being deleted", async () => {
  await using context = await createTestVault();
  const parents = await storeParents(context.vault);
  const adding = Array.from({ length: 100 }, (_, index) =>
    storeConnection(context.vault, desiredConnection(idsOf(parents), { connectionId: `c${index}` })),
  );
  const deleting = softDeleteIntegration(await context.another(), parents.integration.owner.uid, SYSTEM);
  const outcomes = await Promise.allSettled(adding);
  const deleted = await deleting;
  const alive = await context.database.query("select from keystead.connections where deleted_at is null");
  expect(alive).toEqual([]);
  expect(outcomes.filter(({ status }) => status === "fulfilled")).toHaveLength(deleted?.connections ?? -1);
  for (const outcome of outcomes) {
    if (outcome.status === "rejected") expect(outcome.reason).toMatchObject({ code: "integration_gone" });
  }
});

test("a connection of a deleted environment is refused with the reason", async () => {
  await using context = await createTestVault();
  const { desired, environment } = await storeExample(context.vault);
  await softDeleteEnvironment(context.vault, environment.owner.uid, SYSTEM);
  await expect(storeConnection(context.vault, desired)).rejects.toMatchObject({ code: "environment_gone" });
  await storeEnvironment(context.vault, environment);
  await expect(storeConnection(context.vault, desired)).rejects.toMatchObject({ code: "environment_gone" });
});

function seed(token: string): DesiredConnection["credentials"] {
  return { type: "OAUTH2", value: { type: "OAUTH2", access_token: token, refresh_token: "refresh" } };
}

interface ConnectionRow {
  readonly connection_row_id: string;
  readonly environment_id: string;
  readonly credentials_sealed: Buffer | null;
  readonly credentials_revision: number | null;
  readonly config_sealed: Buffer;
}

async function rowOf(context: TestVault, id: string): Promise<ConnectionRow | undefined> {
  const [row] = await context.database.query<ConnectionRow>(
    "select * from keystead.connections where connection_row_id = $1",
    [id],
  );
  return row;
}

async function eventsOf(context: TestVault, id: string) {
  return context.database.query(
    "select action, actor, fields, target_revision from keystead.audit_events where target_id = $1 order by event_id",
    [id],
  );
}

/** What a refresh or a browser authorization does: other credentials, a new revision, no digest. */
async function replaceCredentials(
  context: TestVault,
  { id, environmentId, revision }: { id: string; environmentId: string; revision: number },
  value: { type: string; access_token: string },
): Promise<void> {
  const next = revision + 1;
  const place = { label: "connection.credentials", environmentId, rowId: id, revision: next } as const;
  const sealed = await sealJson(context.vault, place, value);
  await query(
    context.ownerUrl,
    `update keystead.connections
        set credentials_sealed = $2, credentials_revision = $3, credentials_type = $4, revision = $3
      where connection_row_id = $1`,
    [id, sealed, next, value.type],
  );
}

async function credentialsOf(context: TestVault, id: string): Promise<string | undefined> {
  const row = await rowOf(context, id);
  if (!row?.credentials_sealed || row.credentials_revision === null) return undefined;
  return context.vault.environmentKeys.open(row.credentials_sealed, {
    label: "connection.credentials",
    environmentId: row.environment_id,
    rowId: row.connection_row_id,
    revision: row.credentials_revision,
  });
}
