import { expect, test } from "vitest";
import { actorOf, createTestVault, desiredConnection, desiredIntegration } from "../../test/support/vault.ts";
import { idsOf, newOwner, storeExample, storeParents, type TestVault } from "../../test/support/vault.ts";
import { describeConnections } from "./describe-connections.ts";
import { describeEnvironments } from "./describe-environments.ts";
import { describeIntegrations } from "./describe-integrations.ts";
import { listConnections } from "./list-connections.ts";
import { readConnection } from "./read-connection.ts";
import { readEnvironmentVariables } from "./read-environment-variables.ts";
import { softDeleteConnection } from "./soft-delete-connection.ts";
import { softDeleteEnvironment } from "./soft-delete-environment.ts";
import { softDeleteIntegration } from "./soft-delete-integration.ts";
import { storeConnection } from "./store-connection.ts";
import { storeEnvironment } from "./store-environment.ts";
import { storeIntegration } from "./store-integration.ts";

test("a deleted connection is invisible from the commit on, and its row stays for a restore", async () => {
  await using context = await createTestVault();
  const { desired, stored, keyDigest } = await storeExample(context.vault);
  const deleted = await softDeleteConnection(context.vault, desired.owner.uid, actorOf(desired.owner));
  expect(deleted).toMatchObject({ id: stored.id, connections: 1, deletedAt: expect.any(Date) });
  expect(await readConnection(context.vault, request(keyDigest))).toEqual({ kind: "not_found" });
  expect(await listConnections(context.vault, { keyDigest, limit: 10, offset: 0 })).toEqual({
    kind: "found",
    connections: [],
  });
  expect(await describeConnections(context.vault, [desired.owner.uid])).toEqual(new Map());
  expect(await deletionsIn(context)).toEqual([{ kind: "connection", alive: 0, credentials: 1, deletion_ids: 1 }]);
});

test("deleting again gives the first answer, as a controller needs that died before it had written it down", async () => {
  await using context = await createTestVault();
  const { desired } = await storeExample(context.vault);
  const first = await softDeleteConnection(context.vault, desired.owner.uid, actorOf(desired.owner));
  const another = await context.another();
  expect(await softDeleteConnection(another, desired.owner.uid, actorOf(desired.owner))).toEqual(first);
  expect(await eventsOf(context, "connection.deleted")).toEqual([
    { actor: desired.owner.uid, field_manager: "kubectl", target_id: first?.id, deletion_id: first?.deletionId },
  ]);
});

test("two processes that delete one connection at once agree, and record it once", async () => {
  await using context = await createTestVault();
  const { desired } = await storeExample(context.vault);
  const processes = await Promise.all([context.another(), context.another()]);
  const answers = await Promise.all(
    processes.map((vault) => softDeleteConnection(vault, desired.owner.uid, actorOf(desired.owner))),
  );
  expect(answers[0]).toBeDefined();
  expect(answers[1]).toEqual(answers[0]);
  expect(await eventsOf(context, "connection.deleted")).toHaveLength(1);
});

test("what was never stored has no deletion to report", async () => {
  await using context = await createTestVault();
  for (const softDelete of [softDeleteConnection, softDeleteIntegration, softDeleteEnvironment]) {
    expect(await softDelete(context.vault, newOwner().uid, actorOf(newOwner()))).toBeUndefined();
  }
});

test("a connection made anew under the same id is another one, and deleting it leaves the first as it is", async () => {
  await using context = await createTestVault();
  const { desired, stored, keyDigest, ...parents } = await storeExample(context.vault);
  await softDeleteConnection(context.vault, desired.owner.uid, actorOf(desired.owner));
  const successor = desiredConnection(idsOf({ ...parents, keyDigest }));
  const again = await storeConnection(context.vault, successor);
  expect(again.id).not.toBe(stored.id);
  expect(await readConnection(context.vault, request(keyDigest))).toMatchObject({ connection: { id: again.id } });
});

test("an integration takes its connections along under one deletion id", async () => {
  await using context = await createTestVault();
  const { integration, integrationId, keyDigest, ...parents } = await storeExample(context.vault);
  await storeConnection(
    context.vault,
    desiredConnection({ ...idsOf({ ...parents, integration, integrationId, keyDigest }) }, { connectionId: "second" }),
  );
  const deleted = await softDeleteIntegration(context.vault, integration.owner.uid, actorOf(integration.owner));
  expect(deleted).toMatchObject({ id: integrationId, connections: 2 });
  expect(await readConnection(context.vault, request(keyDigest))).toEqual({ kind: "unknown_integration" });
  expect(await describeIntegrations(context.vault, [integration.owner.uid])).toEqual(new Map());
  expect(await deletionsIn(context)).toEqual([
    { kind: "connection", alive: 0, credentials: 2, deletion_ids: 1 },
    { kind: "integration", alive: 0, credentials: 1, deletion_ids: 1 },
  ]);
  expect(await eventsOf(context, "connection.deleted")).toHaveLength(2);
  expect(await softDeleteIntegration(context.vault, integration.owner.uid, actorOf(integration.owner))).toEqual(
    deleted,
  );
});

test("an environment takes everything along, and its key opens nothing from that instant on, on every replica", async () => {
  await using context = await createTestVault();
  const { environment, environmentId, keyDigest } = await storeExample(context.vault);
  const replica = await context.another();
  expect(await readConnection(replica, request(keyDigest))).toMatchObject({ kind: "found" });

  const deleted = await softDeleteEnvironment(context.vault, environment.owner.uid, actorOf(environment.owner));

  expect(deleted).toMatchObject({ id: environmentId, connections: 1 });
  expect(await readConnection(replica, request(keyDigest))).toEqual({ kind: "unknown_key" });
  expect(await readEnvironmentVariables(replica, { keyDigest })).toEqual({ kind: "unknown_key" });
  expect(await listConnections(replica, { keyDigest, limit: 10, offset: 0 })).toEqual({ kind: "unknown_key" });
  expect(await describeEnvironments(context.vault, [environment.owner.uid])).toEqual(new Map());
  expect(await deletionsIn(context)).toEqual([
    { kind: "connection", alive: 0, credentials: 1, deletion_ids: 1 },
    { kind: "integration", alive: 0, credentials: 1, deletion_ids: 1 },
  ]);
  expect(await softDeleteEnvironment(context.vault, environment.owner.uid, actorOf(environment.owner))).toEqual(
    deleted,
  );
});

test.each([
  { parent: "environment", why: "all of it", softDelete: softDeleteEnvironment, batchSize: 300, deleted: 2_001 },
  {
    parent: "integration",
    why: "the last batch is full",
    softDelete: softDeleteIntegration,
    batchSize: 250,
    deleted: 1_000,
  },
] as const)(
  "$deleted connections of an $parent are deleted in one transaction, and no statement takes more than a batch ($why)",
  async (given) => {
    await using context = await createTestVault();
    const example = await storeParents(context.vault);
    const other = await storeIntegration(
      context.vault,
      desiredIntegration(example.integration, { uniqueKey: "hubspot" }),
    );
    const bystander = await storeExample(context.vault);
    const all = Array.from({ length: 2_001 }, (_, n) =>
      desiredConnection(
        { ...idsOf(example), ...(n % 2 === 0 && { integrationId: other.id }) },
        { connectionId: `c${n}` },
      ),
    );
    await Promise.all(all.map((desired) => storeConnection(context.vault, desired)));

    const { owner } = example[given.parent];
    const deleted = await given.softDelete(context.vault, owner.uid, actorOf(owner), given.batchSize);

    expect(deleted).toMatchObject({ connections: given.deleted });
    // Rows that one statement of a transaction wrote have the same number of a command.
    const [found] = await context.database.query(
      `with statements as (
       select count(*) as rows
         from keystead.connections where deleted_at is not null group by cmin::text
     )
     select sum(rows)::int8 as rows, max(rows) as largest, count(*) as statements,
            (select count(distinct (xmin::text, deletion_id, deleted_at)) from keystead.connections
              where deleted_at is not null) as deletions,
            (select count(distinct target_id) from keystead.audit_events where action = 'connection.deleted') as targets,
            (select count(*) from keystead.audit_events where action = 'connection.deleted') as events
       from statements`,
    );
    expect(found).toEqual({
      rows: given.deleted,
      largest: given.batchSize,
      statements: Math.ceil(given.deleted / given.batchSize),
      deletions: 1,
      targets: given.deleted,
      events: given.deleted,
    });
    expect(await describeConnections(context.vault, [bystander.desired.owner.uid])).toHaveProperty("size", 1);
  },
);

test("an environment made anew by the same resource has other keys", async () => {
  await using context = await createTestVault();
  const { environment, environmentId, keyDigest } = await storeExample(context.vault);
  await softDeleteEnvironment(context.vault, environment.owner.uid, actorOf(environment.owner));
  const again = await storeEnvironment(context.vault, environment);
  expect(again.id).not.toBe(environmentId);
  expect(await readEnvironmentVariables(context.vault, { keyDigest })).toEqual({ kind: "unknown_key" });
});

function request(keyDigest: Buffer) {
  return { keyDigest, providerConfigKey: "github", connectionId: "acme" };
}

/** What is left of connections and integrations, where anything was deleted. */
async function deletionsIn(context: TestVault) {
  return context.database.query(
    `select kind, count(*) filter (where deleted_at is null) as alive, count(sealed) as credentials,
            count(distinct deletion_id) as deletion_ids
       from (
         select 'connection' as kind, deleted_at, deletion_id, credentials_sealed as sealed from keystead.connections
         union all
         select 'integration', deleted_at, deletion_id, client_sealed from keystead.integrations
       ) as rows
      group by kind
     having count(deletion_id) > 0
      order by kind`,
  );
}

async function eventsOf(context: TestVault, action: string) {
  return context.database.query(
    "select actor, field_manager, target_id, deletion_id from keystead.audit_events where action = $1",
    [action],
  );
}
