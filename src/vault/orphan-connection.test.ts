import { expect, test } from "vitest";
import { actorOf, createTestVault, desiredConnection, idsOf, storeExample } from "../../test/support/vault.ts";
import { describeConnections } from "./describe-connections.ts";
import { orphanConnection } from "./orphan-connection.ts";
import { readConnection } from "./read-connection.ts";
import { softDeleteConnection } from "./soft-delete-connection.ts";
import { softDeleteEnvironment } from "./soft-delete-environment.ts";
import { storeConnection } from "./store-connection.ts";

test("an orphaned connection is served as before, and belongs to nobody", async () => {
  await using context = await createTestVault();
  const { desired, stored, keyDigest } = await storeExample(context.vault);
  const orphaned = await orphanConnection(context.vault, desired.owner.uid, actorOf(desired.owner));
  expect(orphaned).toEqual({ id: stored.id, environmentId: stored.environmentId });
  const request = { keyDigest, providerConfigKey: "github", connectionId: "acme" };
  const read = await readConnection(context.vault, request);
  expect(read.kind === "found" && read.connection.credentials?.reveal()).toContain("token-of-acme");
  expect(await describeConnections(context.vault, [desired.owner.uid])).toEqual(new Map());
  const owners = await context.database.query(
    `select num_nonnulls(owner_cluster, owner_release, owner_namespace, owner_name, owner_uid) as owners, metadata_declared
       from keystead.connections`,
  );
  expect(owners).toEqual([{ owners: 0, metadata_declared: false }]);
  const events = await context.database.query(
    "select actor, target_id from keystead.audit_events where action = 'connection.orphaned'",
  );
  expect(events).toEqual([{ actor: desired.owner.uid, target_id: stored.id }]);
});

test("orphaning again, or deleting what was orphaned, does nothing to it", async () => {
  await using context = await createTestVault();
  const { desired, keyDigest } = await storeExample(context.vault);
  const { uid } = desired.owner;
  await orphanConnection(context.vault, uid, actorOf(desired.owner));
  expect(await orphanConnection(context.vault, uid, actorOf(desired.owner))).toBeUndefined();
  expect(await softDeleteConnection(context.vault, uid, actorOf(desired.owner))).toBeUndefined();
  const request = { keyDigest, providerConfigKey: "github", connectionId: "acme" };
  expect(await readConnection(context.vault, request)).toMatchObject({ kind: "found" });
});

test("a resource made anew does not get it: its connection id is in use", async () => {
  await using context = await createTestVault();
  const { desired, ...parents } = await storeExample(context.vault);
  await orphanConnection(context.vault, desired.owner.uid, actorOf(desired.owner));
  const again = storeConnection(context.vault, desiredConnection(idsOf(parents)));
  await expect(again).rejects.toMatchObject({ code: "connection_id_in_use" });
});

test("what went with its environment before stays deleted", async () => {
  await using context = await createTestVault();
  const { desired, environment } = await storeExample(context.vault);
  await softDeleteEnvironment(context.vault, environment.owner.uid, actorOf(environment.owner));
  expect(await orphanConnection(context.vault, desired.owner.uid, actorOf(desired.owner))).toBeUndefined();
  const rows = await context.database.query("select owner_uid from keystead.connections where deleted_at is not null");
  expect(rows).toEqual([{ owner_uid: desired.owner.uid }]);
});
