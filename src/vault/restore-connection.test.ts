import { expect, test } from "vitest";
import { ageDeletions, deletedExample, eventsOf, requestFor, served } from "../../test/support/restorable.ts";
import {
  actorOf,
  apiKey,
  createTestVault,
  desiredConnection,
  desiredIntegration,
  idsOf,
  newOwner,
  storeExample,
  storeParents,
} from "../../test/support/vault.ts";
import { describeConnections } from "./describe-connections.ts";
import { restoreConnection } from "./restore-connection.ts";
import { softDeleteConnection } from "./soft-delete-connection.ts";
import { softDeleteIntegration } from "./soft-delete-integration.ts";
import { storeConnection } from "./store-connection.ts";
import { storeIntegration } from "./store-integration.ts";

test("a deleted connection comes back for the resource that asks for it, with what it had", async () => {
  await using context = await createTestVault();
  const { request, stored, keyDigest } = await deletedExample(context.vault);

  expect(await restoreConnection(context.vault, request)).toBe("restore");

  const state = (await describeConnections(context.vault, [request.owner.uid])).get(request.owner.uid);
  expect(state).toMatchObject({ id: stored.id, claimed: true, handledRestore: stored.id, revision: 3 });
  expect(await served(context.vault, keyDigest)).toMatchObject({ id: stored.id, apiKey: "token-of-acme" });
  expect(await eventsOf(context, "connection.restored")).toEqual([
    { action: "connection.restored", actor: request.owner.uid, target_id: stored.id, deletion_id: expect.any(String) },
  ]);
});

test("asking again, as after a crash, changes nothing and records nothing", async () => {
  await using context = await createTestVault();
  const { request } = await deletedExample(context.vault);
  await restoreConnection(context.vault, request);
  const before = await describeConnections(context.vault, [request.owner.uid]);

  const successor = await context.successor();
  expect(await restoreConnection(successor, request)).toBe("handled");

  const after = await describeConnections(context.vault, [request.owner.uid]);
  expect(after).toEqual(before);
  expect(await eventsOf(context, "connection.restored", "connection.claimed")).toHaveLength(1);
});

test("a resource that declares no credentials keeps those that the connection had", async () => {
  await using context = await createTestVault();
  const { request, desired, keyDigest } = await deletedExample(context.vault);
  await restoreConnection(context.vault, { ...request, keepsCredentials: true });

  await storeConnection(context.vault, {
    ...desired,
    owner: request.owner,
    credentials: undefined,
    declaration: {},
    sources: [],
  });

  expect(await served(context.vault, keyDigest)).toMatchObject({ apiKey: "token-of-acme" });
});

test("a resource that declares others replaces them as by any edit", async () => {
  await using context = await createTestVault();
  const { request, desired, keyDigest } = await deletedExample(context.vault);
  await restoreConnection(context.vault, request);
  await storeConnection(context.vault, { ...desired, owner: request.owner, credentials: apiKey("another") });
  expect(await served(context.vault, keyDigest)).toMatchObject({ apiKey: "another" });
});

test("bad case 8: what is erased, unknown, of somebody else, alive or made over the API is refused, each with its code", async () => {
  await using context = await createTestVault();
  const { vault, database } = context;
  const { request, stored, desired, keyDigest, ...parents } = await deletedExample(vault);
  const { owner } = request;
  const elsewhere = await storeParents(vault);
  const other = await storeIntegration(vault, desiredIntegration(parents.integration, { uniqueKey: "hubspot" }));

  const unknown = "01930000-0000-7000-8000-000000000000";
  await expect(restoreConnection(vault, { ...request, id: unknown })).rejects.toHaveProperty(
    "code",
    "restore_not_found",
  );
  for (const changed of [
    { owner: { ...owner, cluster: "5a1de2b4-0000-4000-8000-000000000001" } },
    { owner: { ...owner, namespace: "other" } },
    idsOf(elsewhere),
    { integrationId: other.id },
    { connectionId: "globex" },
  ]) {
    await expect(restoreConnection(vault, { ...request, ...changed }), JSON.stringify(changed)).rejects.toHaveProperty(
      "code",
      "restore_forbidden",
    );
  }
  const alive = await storeConnection(vault, desiredConnection(desired, { connectionId: "alive" }));
  await expect(restoreConnection(vault, { ...request, id: alive.id, connectionId: "alive" })).rejects.toHaveProperty(
    "code",
    "restore_alive",
  );
  await database.query(
    "update keystead.connections set owner_uid = null where environment_id = $1 and connection_row_id = $2",
    [parents.environmentId, stored.id],
  );
  await expect(restoreConnection(vault, request)).rejects.toHaveProperty("code", "restore_not_managed");
  expect(await served(vault, keyDigest)).toBe("not_found");
  expect(await eventsOf(context, "connection.restored", "connection.claimed")).toEqual([]);
});

test("bad case 33: it comes back until the last second of its retention, by the database's clock", async () => {
  await using context = await createTestVault();
  const { request } = await deletedExample(context.vault);
  await ageDeletions(context, 31 * 86_400 + 1);
  await expect(restoreConnection(context.vault, request)).rejects.toHaveProperty("code", "restore_not_found");
  await ageDeletions(context, -61);
  expect(await restoreConnection(context.vault, request)).toBe("restore");
});

test("a connection id that was taken meanwhile is not taken back", async () => {
  await using context = await createTestVault();
  const { request, desired } = await deletedExample(context.vault);
  const successor = { ...desired, owner: newOwner() };
  await storeConnection(context.vault, successor);
  await expect(restoreConnection(context.vault, request)).rejects.toHaveProperty("code", "restore_conflict");

  await softDeleteConnection(context.vault, successor.owner.uid, actorOf(successor.owner));
  expect(await restoreConnection(context.vault, request)).toBe("restore");
});

test("of two resources that want one connection back at once one gets it", async () => {
  await using context = await createTestVault();
  const { request } = await deletedExample(context.vault);
  const processes = await Promise.all([context.another(), context.another()]);
  const answers = await Promise.allSettled(
    processes.map((vault) => restoreConnection(vault, { ...request, owner: newOwner() })),
  );
  expect(answers.filter(({ status }) => status === "fulfilled")).toHaveLength(1);
  expect(answers.find(({ status }) => status === "rejected")).toHaveProperty("reason.code", "restore_alive");
  expect(await eventsOf(context, "connection.restored")).toHaveLength(1);
});

test.each(Array.from({ length: 8 }, (_, n) => n))(
  "a restore and a new connection of the same id at once end with one of them alive (round %i)",
  async () => {
    await using context = await createTestVault();
    const { request, desired, stored, keyDigest } = await deletedExample(context.vault);
    const [one, other] = await Promise.all([context.another(), context.another()]);
    const [restored, made] = await Promise.allSettled([
      restoreConnection(one, request),
      storeConnection(other, { ...desired, owner: newOwner() }),
    ]);
    expect([restored.status, made.status].toSorted()).toEqual(["fulfilled", "rejected"]);
    if (restored.status === "rejected") expect(restored.reason).toHaveProperty("code", "restore_conflict");
    if (made.status === "rejected") expect(made.reason).toHaveProperty("code", "connection_id_in_use");
    const id = made.status === "fulfilled" ? made.value.id : stored.id;
    expect(await served(context.vault, keyDigest)).toMatchObject({ id });
  },
);

test("once handled, a restore is not asked for again when the connection went with its integration", async () => {
  await using context = await createTestVault();
  const { request, integration } = await deletedExample(context.vault);
  await restoreConnection(context.vault, request);
  await softDeleteIntegration(context.vault, integration.owner.uid, actorOf(integration.owner));
  const anew = await storeIntegration(context.vault, desiredIntegration(integration));
  const moved = { ...request, integrationId: anew.id };

  expect(await restoreConnection(context.vault, moved)).toBe("handled");
  await expect(restoreConnection(context.vault, { ...moved, owner: newOwner() })).rejects.toHaveProperty(
    "code",
    "restore_forbidden",
  );
});

test("a restore under parents that are gone says which", async () => {
  await using context = await createTestVault();
  const { desired, stored, integration } = await storeExample(context.vault);
  await softDeleteIntegration(context.vault, integration.owner.uid, actorOf(integration.owner));
  const request = requestFor(desired, stored.id);
  await expect(restoreConnection(context.vault, request)).rejects.toHaveProperty("code", "integration_gone");
  const unknown = { ...request, environmentId: "01930000-0000-7000-8000-000000000000" };
  await expect(restoreConnection(context.vault, unknown)).rejects.toHaveProperty("code", "environment_gone");
});
