import { afterAll, expect, test } from "vitest";
import { applicationOf } from "./support/application.ts";
import { eventsAbout, referenceTo } from "./support/cluster.ts";
import { query } from "./support/database.ts";
import { eventually } from "./support/eventually.ts";
import { createInstallation } from "./support/keystead.ts";
import { canary } from "./support/leaks.ts";
import { connection, environment, integration, type Manifest, secret } from "./support/resources.ts";

// What was deleted comes back by spec.restoreFrom: the same row, the same key, and nothing that was not asked for.

const installation = await createInstallation("restore");
const { objects, database, namespace } = installation;
const keystead = installation.start("run");

afterAll(() => installation[Symbol.asyncDispose]());

interface Set {
  readonly environment: Manifest;
  readonly integration: Manifest;
  readonly connection: Manifest;
  readonly ids: { readonly environment: string; readonly integration: string; readonly connection: string };
  readonly key: string;
  readonly token: string;
}

/** An Environment with an Integration and a Connection with a Secret, all called after it. */
async function applySet(name: string): Promise<Set> {
  const manifests = {
    environment: environment(name),
    integration: integration(name, name),
    connection: connection(name, { environment: name, integration: name }),
  };
  const token = canary(name);
  await objects.apply(secret(name, { token }), ...Object.values(manifests));
  await objects.ready(...Object.values(manifests).map(referenceTo));
  const idOf = async (reference: Parameters<typeof objects.get>[0], field: string): Promise<string> =>
    String((await objects.get(reference)).status?.[field]);
  const ids = {
    environment: await idOf(`environment/${name}`, "environmentId"),
    integration: await idOf(`integration/${name}`, "integrationId"),
    connection: await idOf(`connection/${name}`, "connectionId"),
  };
  return { ...manifests, ids, key: (await applicationOf(installation, keystead, name)).key, token };
}

/** The same manifest, that wants a row back. */
function restoring(manifest: Manifest, restoreFrom: string, changes: object = {}): Manifest {
  return { ...manifest, spec: { ...manifest.spec, ...changes, restoreFrom } };
}

test("a Connection comes back by the id in the event of its deletion, with the credentials it had", async () => {
  const set = await applySet("one");
  const { uid } = (await objects.get("connection/one")).metadata;
  await objects.delete("connection/one", "secret/one");
  const told = await eventually(async () => {
    const notes = (await eventsAbout(objects.client, namespace, uid)).map(({ note }) => note);
    return notes.find((note) => note.includes(set.ids.connection)) ?? expect.unreachable(notes.join());
  });
  expect(told).toContain("until the retention ends");

  const parents = { environment: "one", integration: "one" };
  await objects.apply(connection("one", parents, { credentials: undefined, restoreFrom: set.ids.connection }));
  await objects.ready("connection/one");

  expect((await objects.get("connection/one")).status).toMatchObject({ connectionId: set.ids.connection });
  const application = await applicationOf(installation, keystead, "one");
  expect(await application.credentials("one", "one")).toMatchObject({ apiKey: set.token });
});

test("an Environment comes back with its secret key, and the Connections that stayed go on by themselves", async () => {
  const set = await applySet("stayed");
  await objects.delete("environment/stayed");
  await objects.reach("connection/stayed", "Ready=False EnvironmentNotFound", "Reconciling=True EnvironmentNotFound");

  await objects.apply(restoring(set.environment, set.ids.environment));
  await objects.ready("environment/stayed", "integration/stayed", "connection/stayed");

  const application = await applicationOf(installation, keystead, "stayed");
  expect(application.key).toBe(set.key);
  expect(await application.credentials("stayed", "stayed")).toMatchObject({ apiKey: set.token });
  expect((await objects.get("connection/stayed")).status).toMatchObject({ connectionId: set.ids.connection });
  expect(await unclaimedIn(set.ids.environment)).toEqual([]);
});

test("a whole folder that was deleted comes back by one line in the Environment", async () => {
  const set = await applySet("folder");
  await objects.delete("connection/folder", "integration/folder", "environment/folder");

  await objects.apply(restoring(set.environment, set.ids.environment), set.integration, set.connection);
  await objects.ready("environment/folder", "integration/folder", "connection/folder");

  expect((await objects.get("integration/folder")).status).toMatchObject({ integrationId: set.ids.integration });
  expect((await objects.get("connection/folder")).status).toMatchObject({ connectionId: set.ids.connection });
  expect((await applicationOf(installation, keystead, "folder")).key).toBe(set.key);
  expect(await unclaimedIn(set.ids.environment)).toEqual([]);
  const claims = await query(
    database.ownerUrl,
    `select action, actor from keystead.audit_events where environment_id = $1 and action like '%.claimed' order by action`,
    [set.ids.environment],
  );
  expect(claims).toEqual([
    { action: "connection.claimed", actor: (await objects.get("connection/folder")).metadata.uid },
    { action: "integration.claimed", actor: (await objects.get("integration/folder")).metadata.uid },
  ]);
});

test("an Integration comes back with its Connection", async () => {
  const set = await applySet("parts");
  await objects.delete("integration/parts");
  await objects.reach("connection/parts", "Ready=False IntegrationNotFound", "Reconciling=True IntegrationNotFound");

  await objects.apply(restoring(set.integration, set.ids.integration));
  await objects.ready("integration/parts", "connection/parts");

  expect((await objects.get("connection/parts")).status).toMatchObject({ connectionId: set.ids.connection });
});

test("a restore that was done is not done again, whatever becomes of the parents afterwards", async () => {
  const set = await applySet("done");
  await objects.delete("connection/done");
  await objects.apply(restoring(set.connection, set.ids.connection));
  await objects.ready("connection/done");
  const before = await revisionOf(set.ids.connection);

  await objects.patch("connection/done", { metadata: { labels: { touched: "yes" } } });
  await objects.delete("environment/done");
  await objects.apply(set.environment);
  await objects.ready("environment/done", "integration/done", "connection/done");

  expect(await revisionOf(set.ids.connection), "only the deletion of its Environment").toBe(before + 1);
  expect((await objects.get("connection/done")).status?.["connectionId"]).not.toBe(set.ids.connection);
});

test("bad case 4: made anew without restoreFrom, everything is new and nothing of the old opens it", async () => {
  const set = await applySet("anew");
  await objects.delete("connection/anew", "integration/anew", "environment/anew");
  await objects.apply(set.environment, set.integration, set.connection);
  await objects.ready("environment/anew", "integration/anew", "connection/anew");

  const application = await applicationOf(installation, keystead, "anew");
  expect(application.key).not.toBe(set.key);
  expect((await objects.get("environment/anew")).status?.["environmentId"]).not.toBe(set.ids.environment);
  expect((await objects.get("connection/anew")).status?.["connectionId"]).not.toBe(set.ids.connection);
  const host = await installation.apiOf(keystead);
  const path = "/connections/anew?provider_config_key=anew";
  const old = await fetch(host + path, { headers: { authorization: `Bearer ${set.key}` } });
  expect(old.status).toBe(401);
});

test("bad case 8: each restore that is refused says why, and goes on when the reason is gone", async () => {
  const set = await applySet("refused");
  const other = await applySet("other");
  const parents = { environment: "refused", integration: "refused" };
  const asking = async (name: string, restoreFrom: string, connectionId = "refused"): Promise<void> =>
    objects.apply(
      connection(name, parents, {
        connectionId,
        restoreFrom,
        credentials: { apiKey: { apiKeyRef: { name: "refused", key: "token" } } },
      }),
    );

  await asking("of-nobody", "01930000-0000-7000-8000-000000000000");
  await objects.reach("connection/of-nobody", "Ready=False RestoreNotFound", "Stalled=True RestoreNotFound");
  await asking("of-the-living", set.ids.connection);
  await objects.reach("connection/of-the-living", "Ready=False RestoreAlive", "Stalled=True RestoreAlive");
  await objects.delete("connection/other");
  await asking("of-another", other.ids.connection, "other");
  const refused = await objects.reach(
    "connection/of-another",
    "Ready=False RestoreForbidden",
    "Stalled=True RestoreForbidden",
  );
  expect(refused.status?.conditions?.[0]?.message).toContain("is of another environment");
  await objects.apply(restoring(other.integration, set.ids.integration));
  await objects.reach("integration/other", "Ready=False RestoreForbidden", "Stalled=True RestoreForbidden");
  await objects.apply(restoring(other.environment, set.ids.environment));
  await objects.reach("environment/other", "Ready=False RestoreAlive", "Stalled=True RestoreAlive");

  await objects.delete("connection/refused");
  await objects.ready("connection/of-the-living");
  expect((await objects.get("connection/of-the-living")).status).toMatchObject({ connectionId: set.ids.connection });

  await objects.delete("environment/refused");
  await objects.reach("environment/other", "Ready=False RestoreConflict", "Stalled=True RestoreConflict");
  await objects.delete("environment/other");
  await objects.apply(restoring(other.environment, set.ids.environment));
  await objects.ready("environment/other");
  expect((await applicationOf(installation, keystead, "other")).key).toBe(set.key);
});

test("what was made over the API is not restored by a resource", async () => {
  const set = await applySet("born");
  await objects.delete("connection/born");
  await query(
    database.ownerUrl,
    "update keystead.connections set owner_uid = null where environment_id = $1 and connection_row_id = $2",
    [set.ids.environment, set.ids.connection],
  );
  await objects.apply(restoring(set.connection, set.ids.connection));
  await objects.reach("connection/born", "Ready=False RestoreNotManaged", "Stalled=True RestoreNotManaged");
});

async function revisionOf(connectionRowId: string): Promise<number> {
  const [row] = await query<{ revision: number }>(
    database.ownerUrl,
    "select revision::int from keystead.connections where connection_row_id = $1",
    [connectionRowId],
  );
  return row?.revision ?? 0;
}

async function unclaimedIn(environmentId: string) {
  return query(
    database.ownerUrl,
    `select connection_id as name from keystead.connections where environment_id = $1 and not claimed
      union all
     select unique_key from keystead.integrations where environment_id = $1 and not claimed`,
    [environmentId],
  );
}
