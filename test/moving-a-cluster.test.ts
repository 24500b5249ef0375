import { afterAll, expect, test } from "vitest";
import { applicationOf } from "./support/application.ts";
import { type Objects, referenceTo } from "./support/cluster.ts";
import { query } from "./support/database.ts";
import { eventually } from "./support/eventually.ts";
import { createInstallation } from "./support/keystead.ts";
import { canary } from "./support/leaks.ts";
import { connection, environment, integration, type Manifest, secret } from "./support/resources.ts";
import { startSecondCluster } from "./support/second-cluster.ts";

// The drill of docs/moving-a-cluster.md: two control planes, one database, and applications that notice nothing.

const installation = await createInstallation("moving");
const { database } = installation;
const old = installation.objects;
const second = await startSecondCluster("store");
const fresh = second.objects;
const parents = { environment: "production", integration: "stripe" };
const token = canary("token");
const manifests: readonly Manifest[] = [
  integration("stripe", "production"),
  secret("acme", { token }),
  connection("acme", parents),
];

afterAll(async () => {
  await installation[Symbol.asyncDispose]();
  await second[Symbol.asyncDispose]();
});

const here = installation.start("run");
const there = installation.start("controller", second.environment);
await old.apply(environment("production"), ...manifests);
await old.ready(...ours(manifests), "environment/production");
const application = await applicationOf(installation, here, "production");
const ids = await idsIn(old);

function ours(all: readonly Manifest[]) {
  return all.filter(({ kind }) => kind !== "Secret").map(referenceTo);
}

async function idsIn(objects: Objects) {
  const idOf = async (reference: Parameters<Objects["get"]>[0], field: string): Promise<unknown> =>
    (await objects.get(reference)).status?.[field];
  return {
    environment: await idOf("environment/production", "environmentId"),
    integration: await idOf("integration/stripe", "integrationId"),
    connection: await idOf("connection/acme", "connectionId"),
  };
}

function adopting(name: string, key = application.key): readonly Manifest[] {
  const adopt = { environmentId: ids.environment, secretKeyRef: { name: `${name}-proof`, key: "key" } };
  return [secret(`${name}-proof`, { key: `${key}\n` }), environment(name, { adopt })];
}

test("without the current secret key nothing is taken over", async () => {
  const [, thief] = adopting("thief");
  if (thief) await fresh.apply(thief);
  await fresh.reach("environment/thief", "Ready=Unknown SecretNotFound", "Reconciling=True SecretNotFound");
  await fresh.apply(secret("thief-proof", { key: "no key at all" }));
  await fresh.reach("environment/thief", "Ready=False InvalidSecretValue", "Stalled=True InvalidSecretValue");
  await fresh.apply(environment("bystander"));
  await fresh.ready("environment/bystander");
  const { data = {} } = await fresh.get("secret/bystander-keystead");
  const other = Buffer.from(data["KEYSTEAD_SECRET_KEY"] ?? "", "base64").toString();
  await fresh.apply(secret("thief-proof", { key: other }));
  await fresh.reach("environment/thief", "Ready=False AdoptRefused", "Stalled=True AdoptRefused");
  await fresh.delete("environment/thief");
  expect(await application.credentials("acme", "stripe")).toMatchObject({ apiKey: token });
});

test("a second cluster takes the environment over with all its rows, and applications notice nothing", async () => {
  await fresh.apply(...adopting("production"), ...manifests);
  await fresh.ready("environment/production", ...ours(manifests));

  expect(await idsIn(fresh)).toEqual(ids);
  const { data = {} } = await fresh.get("secret/production-keystead");
  expect(Buffer.from(data["KEYSTEAD_SECRET_KEY"] ?? "", "base64").toString()).toBe(application.key);
  expect(await application.credentials("acme", "stripe")).toMatchObject({ apiKey: token });
  const events = await query<{ action: string }>(
    database.ownerUrl,
    `select action from keystead.audit_events
      where environment_id = $1 and (action like '%.claimed' or action like '%.adopted') order by action`,
    [ids.environment],
  );
  expect(events.map(({ action }) => action)).toEqual([
    "connection.claimed",
    "environment.adopted",
    "integration.claimed",
  ]);
});

test("the old owner hears of it by itself, stores nothing any more, and can be deleted without a trace", async () => {
  const superseded = await old.reach("environment/production", "Ready=False Superseded", "Stalled=True Superseded");
  expect(superseded.status?.conditions?.[0]?.message).toContain("Environment store/production");
  await old.apply(secret("acme", { token: canary("stale") }));
  await old.patch("connection/acme", { spec: { tags: { team: "stale" } } });
  await old.reach("connection/acme", "Ready=False EnvironmentNotReady", "Reconciling=True EnvironmentNotReady");
  expect(await application.credentials("acme", "stripe")).toMatchObject({ apiKey: token });

  await old.delete("connection/acme", "integration/stripe", "environment/production");
  expect(await application.credentials("acme", "stripe")).toMatchObject({ apiKey: token });
  expect(await fresh.get("connection/acme")).toMatchObject({ status: { connectionId: ids.connection } });
});

test("the new cluster changes and deletes what it took over, and a restart of its controller changes nothing", async () => {
  const changed = canary("changed");
  await fresh.apply(secret("acme", { token: changed }));
  await eventually(async () =>
    expect(await application.credentials("acme", "stripe")).toMatchObject({ apiKey: changed }),
  );
  const before = await revisions();
  await there.end();
  const again = installation.start("controller", second.environment);
  await again.logged("caught up with what was there at the start");
  expect(await revisions()).toEqual(before);
  await fresh.ready("environment/production", ...ours(manifests));

  await fresh.delete("connection/acme");
  expect(await application.credentials("acme", "stripe")).toBe(404);
});

async function revisions() {
  return query(
    database.ownerUrl,
    `select environment_id as id, revision::int from keystead.environments
      union all select integration_id, revision::int from keystead.integrations
      union all select connection_row_id, revision::int from keystead.connections order by id`,
  );
}
