import { afterAll, expect, inject, test } from "vitest";
import { resourcePath } from "../src/kube/resource-path.ts";
import { applicationOf } from "./support/application.ts";
import { KINDS, referenceTo } from "./support/cluster.ts";
import { query } from "./support/database.ts";
import { eventually } from "./support/eventually.ts";
import { createInstallation } from "./support/keystead.ts";
import { canary } from "./support/leaks.ts";
import { connection, environment, integration, type Manifest, secret } from "./support/resources.ts";

// What is deleted is served to nobody from then on, whatever is deleted first, and nothing ever hangs.

const installation = await createInstallation("deletion");
const { objects, database, namespace } = installation;
let keystead = installation.start("run");

afterAll(() => installation[Symbol.asyncDispose]());

interface Row {
  readonly connection_id: string;
  readonly deleted: boolean;
  readonly deletion_id: string | null;
}

/** Rows of the connections of an Environment by its uid, those that are deleted too. */
function rowsOf(environmentUid: string): Promise<Row[]> {
  return query<Row>(
    database.ownerUrl,
    `select c.connection_id, c.deleted_at is not null as deleted, c.deletion_id
       from keystead.connections c join keystead.environments e using (environment_id)
      where e.owner_uid = $1 order by c.connection_id, c.connection_row_id`,
    [environmentUid],
  );
}

/** An Environment with an Integration, a Secret and two Connections, all called after it. */
async function applySet(name: string): Promise<{ manifests: Manifest[]; uid: string }> {
  const parents = { environment: name, integration: name };
  const credentials = { apiKey: { apiKeyRef: { name, key: "token" } } };
  const manifests = [
    environment(name),
    integration(name, name),
    connection(`${name}-1`, parents, { credentials }),
    connection(`${name}-2`, parents, { credentials }),
  ];
  await objects.apply(secret(name, { token: canary(name) }), ...manifests);
  await objects.ready(...manifests.map(referenceTo));
  return { manifests, uid: (await objects.get(`environment/${name}`)).metadata.uid };
}

test("a deleted Connection keeps its sealed row for the retention, and the next of that name has another", async () => {
  const { uid } = await applySet("again");
  const application = await applicationOf(installation, keystead, "again");
  await objects.delete("connection/again-1");
  expect(await application.credentials("again-1", "again")).toBe(404);

  const parents = { environment: "again", integration: "again" };
  await objects.apply(secret("again-1", { token: canary("again-new") }), connection("again-1", parents));
  await objects.ready("connection/again-1");

  expect((await rowsOf(uid)).filter(({ connection_id }) => connection_id === "again-1")).toEqual([
    { connection_id: "again-1", deleted: true, deletion_id: expect.any(String) },
    { connection_id: "again-1", deleted: false, deletion_id: null },
  ]);
});

test("bad case 34: a deleted Integration takes its connections along; their resources say so and come back with it", async () => {
  const { uid } = await applySet("parent");
  const application = await applicationOf(installation, keystead, "parent");
  await objects.delete("integration/parent");

  expect(await application.credentials("parent-1", "parent")).toBe(400);
  const lost = ["Ready=False IntegrationNotFound", "Reconciling=True IntegrationNotFound"];
  await objects.reach("connection/parent-1", ...lost);
  await objects.reach("connection/parent-2", ...lost);
  expect(new Set((await rowsOf(uid)).map(({ deletion_id }) => deletion_id)).size, "deleted together").toBe(1);

  await objects.apply(integration("parent", "parent"));
  await objects.ready("connection/parent-1", "connection/parent-2");
  expect(await application.credentials("parent-1", "parent")).toMatchObject({ type: "API_KEY" });
});

test("bad case 34: a deleted Environment ends its keys at once; one of the same name has others, and the old key does not open it", async () => {
  await applySet("reborn");
  const before = await applicationOf(installation, keystead, "reborn");
  await objects.delete("environment/reborn");
  expect((await before.ask("/connections")).status).toBe(401);
  const lost = ["Ready=False EnvironmentNotFound", "Reconciling=True EnvironmentNotFound"];
  await objects.reach("integration/reborn", ...lost);
  await objects.reach("connection/reborn-1", ...lost);

  await objects.apply(environment("reborn"));
  await objects.ready("environment/reborn", "integration/reborn", "connection/reborn-1", "connection/reborn-2");

  const after = await applicationOf(installation, keystead, "reborn");
  expect(after.key).not.toBe(before.key);
  expect((await before.ask("/connections")).status).toBe(401);
  expect(await after.credentials("reborn-1", "reborn")).toMatchObject({ type: "API_KEY" });
});

test.each([
  { order: "from the outside in", pick: (manifests: Manifest[]) => manifests },
  { order: "from the inside out", pick: (manifests: Manifest[]) => manifests.toReversed() },
  { order: "the Integration first", pick: ([e, i, ...rest]: Manifest[]) => [i, e, ...rest].flatMap((m) => m ?? []) },
])("all of it can be deleted $order", async ({ order, pick }) => {
  const { manifests, uid } = await applySet(order.replaceAll(" ", "-").toLowerCase());
  for (const manifest of pick(manifests)) await objects.delete(referenceTo(manifest));

  expect((await rowsOf(uid)).map(({ deleted }) => deleted)).toEqual([true, true]);
});

test("all of it can be deleted at the same moment", async () => {
  const { manifests, uid } = await applySet("at-once");
  await Promise.all(manifests.map((manifest) => objects.delete(referenceTo(manifest))));

  expect((await rowsOf(uid)).map(({ deleted }) => deleted)).toEqual([true, true]);
});

test("a resource that was never stored goes without a word to the database", async () => {
  await objects.apply(connection("hopeless", { environment: "nowhere", integration: "nothing" }));
  await objects.reach(
    "connection/hopeless",
    "Ready=Unknown EnvironmentNotFound",
    "Reconciling=True EnvironmentNotFound",
  );
  await objects.delete("connection/hopeless");
});

test("suspended resources can be deleted, and are not served any more", async () => {
  const { manifests, uid } = await applySet("paused");
  const application = await applicationOf(installation, keystead, "paused");
  for (const manifest of manifests) await objects.patch(referenceTo(manifest), { spec: { suspend: true } });
  await objects.reach("connection/paused-1", "Ready=True Suspended");
  expect(await application.credentials("paused-1", "paused"), "still served").toMatchObject({ type: "API_KEY" });

  await objects.delete("connection/paused-1");
  expect(await application.credentials("paused-1", "paused")).toBe(404);
  for (const manifest of manifests) await objects.delete(referenceTo(manifest));
  expect((await rowsOf(uid)).map(({ deleted }) => deleted)).toEqual([true, true]);
});

test("a deletion while the controller is down is made up for by the next one", async () => {
  const { manifests, uid } = await applySet("downtime");
  await keystead.end();
  for (const manifest of manifests) await objects.startDelete(referenceTo(manifest));
  expect((await rowsOf(uid)).map(({ deleted }) => deleted)).toEqual([false, false]);

  keystead = installation.start("run");

  await objects.delete(...manifests.map(referenceTo));
  expect((await rowsOf(uid)).map(({ deleted }) => deleted)).toEqual([true, true]);
});

test("a finalizer of somebody else is left alone, and the row is deleted all the same", async () => {
  const { uid } = await applySet("held");
  await objects.patch("connection/held-1", {
    metadata: { finalizers: ["example.com/hold", "keystead.dev/finalizer"] },
  });
  await objects.startDelete("connection/held-1");

  await eventually(async () => {
    expect((await objects.get("connection/held-1")).metadata.finalizers).toEqual(["example.com/hold"]);
  });
  expect((await rowsOf(uid)).map(({ deleted }) => deleted)).toEqual([true, false]);
  await objects.patch("connection/held-1", { metadata: { finalizers: null } });
  await objects.delete("connection/held-1");
});

test("an Environment whose Secret is gone already can be deleted", async () => {
  await objects.apply(environment("bare"));
  await objects.ready("environment/bare");
  // Suspended, so that the Secret is not written again.
  await objects.patch("environment/bare", { spec: { suspend: true } });
  await objects.reach("environment/bare", "Ready=True Suspended");
  await objects.delete("secret/bare-keystead");

  await objects.delete("environment/bare");
});

test("a deletion in the foreground waits for the garbage collector alone", async () => {
  await objects.apply(environment("foreground"));
  await objects.ready("environment/foreground");
  await objects.client.request({
    method: "DELETE",
    path: resourcePath(KINDS.environment, { namespace, name: "foreground" }),
    body: { propagationPolicy: "Foreground" },
  });

  await eventually(async () => {
    const left = await objects.find("environment/foreground");
    expect(left?.metadata.finalizers ?? []).not.toContain("keystead.dev/finalizer");
  });
  expect(await objects.find("secret/foreground-keystead")).toBeUndefined();
});

test("bad case 28: an Environment that is deleted in the foreground and made again at once has a Secret that stays", async (context) => {
  // Blocks the deletion of what it owns until the garbage collector has taken it away.
  context.skip(!inject("controlPlane").controllerManager, "this control plane has no garbage collector");
  await objects.apply(environment("at-once"));
  await objects.ready("environment/at-once");
  const before = await applicationOf(installation, keystead, "at-once");
  const first = await objects.get("environment/at-once");
  await objects.client.request({
    method: "DELETE",
    path: resourcePath(KINDS.environment, { namespace, name: "at-once" }),
    body: { propagationPolicy: "Foreground" },
  });

  // As a GitOps tool does that never waits: some of these still meet the old one.
  const second = await eventually(async () => {
    await objects.apply(environment("at-once"));
    const found = await objects.get("environment/at-once");
    expect(found.metadata.uid).not.toBe(first.metadata.uid);
    return found;
  });
  await objects.ready("environment/at-once");
  const after = await applicationOf(installation, keystead, "at-once");
  expect((await before.ask("/connections")).status).toBe(401);
  expect((await after.ask("/connections")).status).toBe(200);
  const { metadata } = await objects.get("secret/at-once-keystead");
  expect(metadata.ownerReferences).toMatchObject([{ kind: "Environment", uid: second.metadata.uid }]);
});

test("every deletion is one event of the audit, with who did it and under which id it can be restored", async () => {
  const { uid } = await applySet("audited");
  await objects.delete("environment/audited");

  const events = await query<{ action: string; deletion_id: string; actor_kind: string }>(
    database.ownerUrl,
    `select a.action, a.deletion_id, a.actor_kind
       from keystead.audit_events a join keystead.environments e using (environment_id)
      where e.owner_uid = $1 and a.action like '%.deleted' order by a.action`,
    [uid],
  );
  expect(events.map(({ action }) => action)).toEqual([
    "connection.deleted",
    "connection.deleted",
    "environment.deleted",
    "integration.deleted",
  ]);
  expect(new Set(events.map(({ deletion_id }) => deletion_id)).size).toBe(1);
  expect(new Set(events.map(({ actor_kind }) => actor_kind))).toEqual(new Set(["resource"]));
});
