import { afterAll, expect, test } from "vitest";
import { applicationOf } from "./support/application.ts";
import { eventsAbout, referenceTo } from "./support/cluster.ts";
import { query } from "./support/database.ts";
import { putIntoEtcd } from "./support/etcd.ts";
import { eventually } from "./support/eventually.ts";
import { createInstallation } from "./support/keystead.ts";
import { canary } from "./support/leaks.ts";
import { connection, environment, integration, type Manifest, secret } from "./support/resources.ts";

// What becomes of what is stored when a resource goes is for its spec.deletionPolicy to say, and the newest one counts.

const installation = await createInstallation("policy");
const { objects, database, namespace } = installation;
const keystead = installation.start("run");

afterAll(() => installation[Symbol.asyncDispose]());

/** An Environment with an Integration and a Connection, all called after it, each with what is to be added to its spec. */
async function applySet(name: string, specs: { environment?: object; integration?: object; connection?: object } = {}) {
  const parents = { environment: name, integration: name };
  const credentials = { apiKey: { apiKeyRef: { name, key: "token" } } };
  const manifests: Manifest[] = [
    environment(name, specs.environment),
    integration(name, name, specs.integration),
    connection(name, parents, { credentials, ...specs.connection }),
  ];
  await objects.apply(secret(name, { token: canary(name) }), ...manifests);
  await objects.ready(...manifests.map(referenceTo));
  return { manifests, uid: (await objects.get(`environment/${name}`)).metadata.uid };
}

/** What is stored of an environment by the id that its status says: alive, deleted or gone. */
async function stateOf(name: string, environmentId: string): Promise<Record<string, string>> {
  const [row] = await query<Record<string, string>>(
    database.ownerUrl,
    `select coalesce((select case when deleted_at is null then 'alive' else 'deleted' end
                        from keystead.environments where environment_id = $1), 'gone') as environment,
            coalesce((select case when deleted_at is null then 'alive' else 'deleted' end
                        from keystead.integrations where environment_id = $1 and unique_key = $2), 'gone') as integration,
            coalesce((select case when deleted_at is null then 'alive' else 'deleted' end
                        from keystead.connections where environment_id = $1 and connection_id = $2), 'gone') as connection`,
    [environmentId, name],
  );
  return row ?? expect.unreachable();
}

async function environmentIdOf(name: string): Promise<string> {
  return String((await objects.get(`environment/${name}`)).status?.["environmentId"]);
}

test.each([
  { kind: "connection", left: { environment: "alive", integration: "alive", connection: "gone" } },
  { kind: "integration", left: { environment: "alive", integration: "gone", connection: "gone" } },
  { kind: "environment", left: { environment: "gone", integration: "gone", connection: "gone" } },
] as const)(
  "bad case 34: $kind with the policy Purge is erased with everything in it when kubectl delete returns",
  async ({ kind, left }) => {
    const name = `purged-${kind}`;
    await applySet(name, { [kind]: { deletionPolicy: "Purge" } });
    const id = await environmentIdOf(name);
    const { uid } = (await objects.get(`${kind}/${name}`)).metadata;
    await objects.delete(`${kind}/${name}`);

    expect(await stateOf(name, id)).toEqual(left);
    const events = await eventually(async () => {
      const seen = await eventsAbout(objects.client, namespace, uid);
      expect(seen.length).toBeGreaterThan(0);
      return seen;
    });
    expect(events).toEqual([{ type: "Normal", reason: "Purged", note: expect.stringContaining("erased for good") }]);
  },
);

test.each([
  { kind: "integration", left: { environment: "alive", integration: "deleted", connection: "deleted" } },
  { kind: "environment", left: { environment: "deleted", integration: "deleted", connection: "deleted" } },
] as const)(
  "bad case 34: $kind that still has Connections takes them along, and their resources say what is missing",
  async ({ kind, left }) => {
    const name = `parent-${kind}`;
    await applySet(name);
    const id = await environmentIdOf(name);
    await objects.delete(`${kind}/${name}`);

    expect(await stateOf(name, id)).toEqual(left);
    const reason = kind === "environment" ? "EnvironmentNotFound" : "IntegrationNotFound";
    await objects.reach(`connection/${name}`, `Ready=False ${reason}`, `Reconciling=True ${reason}`);
  },
);

test("a Connection with the policy Orphan goes, and its credentials are served as before", async () => {
  await applySet("orphan", { connection: { deletionPolicy: "Orphan" } });
  const application = await applicationOf(installation, keystead, "orphan");
  const { uid } = (await objects.get("connection/orphan")).metadata;
  await objects.delete("connection/orphan");

  expect(await application.credentials("orphan", "orphan")).toMatchObject({ type: "API_KEY" });
  await eventually(async () => {
    expect(await eventsAbout(objects.client, namespace, uid)).toMatchObject([{ reason: "Orphaned" }]);
  });
  await objects.apply(connection("orphan", { environment: "orphan", integration: "orphan" }));
  await objects.reach("connection/orphan", "Ready=False ConnectionIdInUse", "Stalled=True ConnectionIdInUse");
});

test.each(["environment", "integration"] as const)(
  "%s has no policy Orphan: nobody could rotate or end what it left",
  async (kind) => {
    const refused = objects.apply(
      kind === "environment"
        ? environment("never", { deletionPolicy: "Orphan" })
        : integration("never", "never", { deletionPolicy: "Orphan" }),
    );
    await expect(refused).rejects.toThrow(/spec.deletionPolicy.*"SoftDelete", "Purge"/);
  },
);

test.each([
  { from: "SoftDelete", to: "Purge", left: "gone" },
  { from: "Purge", to: "SoftDelete", left: "deleted" },
  { from: "Purge", to: "Orphan", left: "alive" },
  { from: "Orphan", to: null, left: "deleted" },
])(
  "bad case 28: a policy edited from $from to $to right before the delete counts as it is then",
  async ({ from, to, left }) => {
    const name = `edited-${from}-${to}`.toLowerCase();
    await applySet(name, { connection: { deletionPolicy: from } });
    const id = await environmentIdOf(name);
    await objects.patch(`connection/${name}`, { spec: { deletionPolicy: to } });
    await objects.delete(`connection/${name}`);

    expect((await stateOf(name, id))["connection"]).toBe(left);
  },
);

test("bad case 28: of an object of an invalid shape the policy counts as well, and its finalizer does not hang", async () => {
  await applySet("bent");
  const id = await environmentIdOf("bent");
  const { metadata, ...object } = await objects.get("environment/bent");
  await putIntoEtcd(`/registry/keystead.dev/environments/${namespace}/bent`, {
    ...object,
    metadata: { ...metadata, resourceVersion: undefined, generation: metadata.generation + 1 },
    spec: { retention: "1h1", deletionPolicy: "Purge" },
  });
  await objects.reach("environment/bent", "Ready=False InvalidSpec", "Stalled=True InvalidSpec");
  await objects.delete("environment/bent");

  expect(await stateOf("bent", id)).toEqual({ environment: "gone", integration: "gone", connection: "gone" });
});

test.each(["Purge", "Orphan"])(
  "bad case 26: a Connection with the policy %s goes when Environment, Integration and Secret are gone already",
  async (deletionPolicy) => {
    const name = `late-${deletionPolicy}`.toLowerCase();
    await applySet(name, { connection: { deletionPolicy } });
    const id = await environmentIdOf(name);
    await objects.delete(`secret/${name}`, `integration/${name}`, `environment/${name}`);
    await objects.delete(`connection/${name}`);

    expect((await stateOf(name, id))["connection"]).toBe(deletionPolicy === "Purge" ? "gone" : "deleted");
  },
);

test.each(["SoftDelete", "Purge", "Orphan"])(
  "bad case 26: a Connection with the policy %s of which nothing was ever stored goes, its finalizer with it",
  async (deletionPolicy) => {
    const name = `never-${deletionPolicy}`.toLowerCase();
    const nowhere = { environment: "nowhere", integration: "nothing" };
    // As a controller leaves it that died between its finalizer and its row.
    await objects.apply(connection(name, nowhere, { deletionPolicy }, { finalizers: ["keystead.dev/finalizer"] }));
    await objects.reach(
      `connection/${name}`,
      "Ready=Unknown EnvironmentNotFound",
      "Reconciling=True EnvironmentNotFound",
    );
    await objects.delete(`connection/${name}`);
  },
);
