import { expect, test } from "vitest";
import { ageDeletions, eventsOf, served } from "../../test/support/restorable.ts";
import {
  actorOf,
  createTestVault,
  desiredConnection,
  desiredEnvironment,
  desiredIntegration,
  idsOf,
  newOwner,
  type ParentIds,
  storeExample,
  storeParents,
  type TestVault,
} from "../../test/support/vault.ts";
import { claimRow } from "./claim-row.ts";
import { AUDITED_CONNECTION, AUDITED_INTEGRATION } from "./audit-fragments.ts";
import { describeConnections } from "./describe-connections.ts";
import { describeEnvironments } from "./describe-environments.ts";
import { describeIntegrations } from "./describe-integrations.ts";
import { listConnections } from "./list-connections.ts";
import { readEnvironmentSecretKey } from "./read-environment-secret-key.ts";
import { restoreEnvironment } from "./restore-environment.ts";
import { restoreIntegration } from "./restore-integration.ts";
import { softDeleteConnection } from "./soft-delete-connection.ts";
import { softDeleteEnvironment } from "./soft-delete-environment.ts";
import { softDeleteIntegration } from "./soft-delete-integration.ts";
import { storeConnection } from "./store-connection.ts";
import { storeEnvironment } from "./store-environment.ts";
import { storeIntegration } from "./store-integration.ts";

test("an environment comes back with its secret key and all that was in it, on every replica", async () => {
  await using context = await createTestVault();
  const { vault } = context;
  const { environment, environmentId, keyDigest, desired, stored, integration } = await storeExample(vault);
  const replica = await context.another();
  const key = await readEnvironmentSecretKey(vault, environmentId);
  await softDeleteEnvironment(vault, environment.owner.uid, actorOf(environment.owner));
  expect(await served(replica, keyDigest)).toBe("unknown_key");

  const owner = newOwner("production");
  expect(await restoreEnvironment(vault, { id: environmentId, owner })).toBe("restore");

  expect(await served(replica, keyDigest)).toEqual({ id: stored.id, apiKey: "token-of-acme" });
  const state = (await describeEnvironments(vault, [owner.uid])).get(owner.uid);
  expect(state).toMatchObject({ id: environmentId, handledRestore: environmentId });
  expect((await readEnvironmentSecretKey(vault, environmentId)).reveal()).toBe(key.reveal());
  const described = await describeConnections(vault, [desired.owner.uid]);
  expect(described.get(desired.owner.uid)).toMatchObject({ id: stored.id, claimed: false });
  const integrations = await describeIntegrations(vault, [integration.owner.uid]);
  expect(integrations.get(integration.owner.uid)).toMatchObject({ claimed: false });
  const events = await eventsOf(context, "environment.restored", "integration.restored", "connection.restored");
  expect(events.map(({ action }) => action)).toEqual([
    "integration.restored",
    "connection.restored",
    "environment.restored",
  ]);
  expect(new Set(events.map(({ actor }) => actor))).toEqual(new Set([owner.uid]));
});

test("restoring it again, by a successor, changes nothing", async () => {
  await using context = await createTestVault();
  const { environment, environmentId } = await storeExample(context.vault);
  await softDeleteEnvironment(context.vault, environment.owner.uid, actorOf(environment.owner));
  const owner = newOwner("production");
  await restoreEnvironment(context.vault, { id: environmentId, owner });
  const successor = await context.successor();
  expect(await restoreEnvironment(successor, { id: environmentId, owner })).toBe("handled");
  expect(await eventsOf(context, "environment.restored", "environment.claimed")).toHaveLength(1);
});

test("what was deleted up to ten minutes before comes back with it, what went earlier does not", async () => {
  await using context = await createTestVault();
  const { vault } = context;
  const { environment, environmentId, keyDigest, desired } = await storeExample(vault);
  const [early, late] = await storeAll(context, desired, ["early", "late"]);
  await softDelete(context, early);
  await ageDeletions(context, 605);
  await softDelete(context, late);
  await ageDeletions(context, 590);

  await softDeleteEnvironment(vault, environment.owner.uid, actorOf(environment.owner));
  await restoreEnvironment(vault, { id: environmentId, owner: newOwner("production") });

  expect(await namesAlive(context, keyDigest)).toEqual(["acme", "late"]);
});

test("an Environment that terminates for long takes along what was deleted in all that time", async () => {
  await using context = await createTestVault();
  const { vault } = context;
  const { environment, environmentId, keyDigest, desired } = await storeExample(vault);
  const [one] = await storeAll(context, desired, ["one"]);
  await softDelete(context, one);
  await ageDeletions(context, 3_000);

  const anHourAgo = new Date(Date.now() - 3_600_000).toISOString();
  await softDeleteEnvironment(vault, environment.owner.uid, actorOf(environment.owner), 10, anHourAgo);
  await restoreEnvironment(vault, { id: environmentId, owner: newOwner("production") });

  expect(await namesAlive(context, keyDigest)).toEqual(["acme", "one"]);
});

test("of connections that had one id one after the other the last comes back, and the others stay deleted", async () => {
  await using context = await createTestVault();
  const { vault } = context;
  const { desired, ...example } = await storeExample(vault);
  const { environment, environmentId, keyDigest } = example;
  const ids = idsOf(example);
  await softDelete(context, desired);
  const [second] = await storeAll(context, ids, ["acme"]);
  await softDelete(context, second);
  const third = await storeConnection(vault, desiredConnection(ids));

  await softDeleteEnvironment(vault, environment.owner.uid, actorOf(environment.owner), 2);
  await restoreEnvironment(vault, { id: environmentId, owner: newOwner("production") }, 2);

  expect(await served(vault, keyDigest)).toMatchObject({ id: third.id });
  const [left] = await context.database.query(
    "select count(*) as deleted from keystead.connections where deleted_at is not null",
  );
  expect(left).toEqual({ deleted: 2 });
});

test("an integration made anew under its name comes back, and the connections of the former one stay deleted", async () => {
  await using context = await createTestVault();
  const { vault } = context;
  const { environment, environmentId, keyDigest, integration } = await storeExample(vault);
  await softDeleteIntegration(vault, integration.owner.uid, actorOf(integration.owner));
  const anew = await storeIntegration(vault, desiredIntegration(integration));
  const ids = { environmentId, environmentUid: environment.owner.uid, integrationId: anew.id };
  await storeConnection(vault, desiredConnection(ids, { connectionId: "globex" }));

  await softDeleteEnvironment(vault, environment.owner.uid, actorOf(environment.owner));
  await restoreEnvironment(vault, { id: environmentId, owner: newOwner("production") });

  expect(await namesAlive(context, keyDigest)).toEqual(["globex"]);
});

test.each([
  { rows: 1_500, batchSize: 500, why: "the last batch is full" },
  { rows: 1_001, batchSize: 500, why: "the last batch is nearly empty" },
])("$rows connections come back in one transaction, in batches of $batchSize ($why)", async ({ rows, batchSize }) => {
  await using context = await createTestVault();
  const { vault } = context;
  const { environment, keyDigest, ...parents } = await storeParents(vault);
  const ids = idsOf({ ...parents, environment, keyDigest });
  await storeAll(
    context,
    ids,
    Array.from({ length: rows }, (_, n) => `c${n}`),
  );
  await softDeleteEnvironment(vault, environment.owner.uid, actorOf(environment.owner));

  await restoreEnvironment(vault, { id: ids.environmentId, owner: newOwner("production") }, batchSize);

  const [found] = await context.database.query(
    `select count(*) filter (where deleted_at is null and not claimed) as alive, count(distinct xmin::text) as commits,
            (select count(*) from keystead.audit_events where action = 'connection.restored') as events
       from keystead.connections`,
  );
  expect(found).toEqual({ alive: rows, commits: 1, events: rows });
});

test("a row of a resource waits until exactly that resource claims it, which one of two does", async () => {
  await using context = await createTestVault();
  const { vault } = context;
  const { environment, environmentId, desired, stored, integration, integrationId } = await storeExample(vault);
  await softDeleteEnvironment(vault, environment.owner.uid, actorOf(environment.owner));
  const restored = newOwner("production");
  await restoreEnvironment(vault, { id: environmentId, owner: restored });

  const place = { environmentId, environmentUid: restored.uid };
  const sameName = { ...desired, ...place, owner: newOwner("acme") };
  await expect(storeConnection(vault, { ...sameName, owner: newOwner("other") })).rejects.toHaveProperty(
    "code",
    "connection_id_in_use",
  );
  await expect(storeConnection(vault, sameName)).rejects.toMatchObject({
    code: "row_unclaimed",
    details: { id: stored.id },
  });
  const second = desiredIntegration(place, { owner: newOwner("github") });
  await expect(storeIntegration(vault, second)).rejects.toMatchObject({ code: "row_unclaimed" });

  const owners = [sameName.owner, newOwner("acme")];
  const processes = await Promise.all([context.another(), context.another()]);
  const claims = await Promise.allSettled(
    processes.map((process, n) =>
      claimRow(process, AUDITED_CONNECTION, { ...place, id: stored.id, owner: owners[n] ?? newOwner() }),
    ),
  );
  expect(claims.map(({ status }) => status).toSorted()).toEqual(["fulfilled", "rejected"]);
  expect(claims.find(({ status }) => status === "rejected")).toHaveProperty("reason.code", "row_changed");
  await claimRow(vault, AUDITED_INTEGRATION, { ...place, id: integrationId, owner: integration.owner });
  const events = await eventsOf(context, "connection.claimed", "integration.claimed");
  expect(events.map(({ target_id }) => target_id)).toEqual([stored.id, integrationId]);
});

test("bad case 4: an environment made anew under its name has another key, and the old one opens neither", async () => {
  await using context = await createTestVault();
  const { vault } = context;
  const { environment, environmentId, keyDigest } = await storeExample(vault);
  await softDeleteEnvironment(vault, environment.owner.uid, actorOf(environment.owner));
  const owner = newOwner("production");
  const anew = await storeEnvironment(vault, desiredEnvironment({ owner }));

  expect(await served(vault, keyDigest)).toBe("unknown_key");
  await expect(restoreEnvironment(vault, { id: environmentId, owner })).rejects.toHaveProperty(
    "code",
    "restore_conflict",
  );
  expect(anew.id).not.toBe(environmentId);
  // The old one can still come back, for another resource, beside the new one.
  expect(await restoreEnvironment(vault, { id: environmentId, owner: newOwner("old") })).toBe("restore");
  expect(await served(vault, keyDigest)).toMatchObject({ apiKey: "token-of-acme" });
});

test("two resources that want one environment back at once: one gets it, the other is told", async () => {
  await using context = await createTestVault();
  const { environment, environmentId } = await storeExample(context.vault);
  await softDeleteEnvironment(context.vault, environment.owner.uid, actorOf(environment.owner));
  const processes = await Promise.all([context.another(), context.another()]);
  const answers = await Promise.allSettled(
    processes.map((vault) => restoreEnvironment(vault, { id: environmentId, owner: newOwner("production") })),
  );
  expect(answers.find(({ status }) => status === "fulfilled")).toHaveProperty("value", "restore");
  expect(answers.find(({ status }) => status === "rejected")).toHaveProperty("reason.code", "restore_alive");
});

test("an integration comes back with the connections that went with it, and with those alone", async () => {
  await using context = await createTestVault();
  const { vault } = context;
  const { integration, integrationId, keyDigest, desired, stored } = await storeExample(vault);
  const { environmentId, environmentUid } = desired;
  const [before] = await storeAll(context, desired, ["before"]);
  await softDelete(context, before);
  await softDeleteIntegration(vault, integration.owner.uid, actorOf(integration.owner));

  const owner = newOwner("github");
  const request = { id: integrationId, environmentId, environmentUid, uniqueKey: "github", owner };
  await expect(restoreIntegration(vault, { ...request, uniqueKey: "gitlab" })).rejects.toHaveProperty(
    "code",
    "restore_forbidden",
  );
  expect(await restoreIntegration(vault, request)).toBe("restore");
  expect(await restoreIntegration(vault, request)).toBe("handled");

  expect(await namesAlive(context, keyDigest)).toEqual(["acme"]);
  const connections = await describeConnections(vault, [desired.owner.uid]);
  expect(connections.get(desired.owner.uid)).toMatchObject({ id: stored.id, claimed: false });
});

test("an integration whose name was taken meanwhile stays deleted", async () => {
  await using context = await createTestVault();
  const { vault } = context;
  const { integration, integrationId } = await storeExample(vault);
  await softDeleteIntegration(vault, integration.owner.uid, actorOf(integration.owner));
  const anew = desiredIntegration(integration);
  await storeIntegration(vault, anew);
  await expect(
    restoreIntegration(vault, { ...anew, id: integrationId, owner: newOwner("github") }),
  ).rejects.toHaveProperty("code", "restore_conflict");
});

/** Stores connections of these ids, each of a resource of its own. */
async function storeAll(
  { vault }: TestVault,
  { environmentId, environmentUid, integrationId }: ParentIds,
  connectionIds: readonly string[],
) {
  const ids = { environmentId, environmentUid, integrationId };
  const all = connectionIds.map((connectionId) => desiredConnection(ids, { connectionId }));
  await Promise.all(all.map((desired) => storeConnection(vault, desired)));
  return all;
}

async function softDelete({ vault }: TestVault, desired: ReturnType<typeof desiredConnection> | undefined) {
  const owner = desired?.owner ?? newOwner();
  await softDeleteConnection(vault, owner.uid, actorOf(owner));
}

/** Ids of what an application can list. */
async function namesAlive({ vault }: TestVault, keyDigest: Buffer): Promise<string[]> {
  const listed = await listConnections(vault, { keyDigest, limit: 10, offset: 0 });
  return listed.kind === "found" ? listed.connections.map(({ connectionId }) => connectionId).toSorted() : [];
}
