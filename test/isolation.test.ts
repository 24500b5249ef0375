import { afterAll, beforeAll, expect, test } from "vitest";
import { type Application, applicationOf } from "./support/application.ts";
import { objectsOf } from "./support/cluster.ts";
import { createInstallation } from "./support/keystead.ts";
import { canary } from "./support/leaks.ts";
import { conditionOf, connection, environment, integration, secret } from "./support/resources.ts";
import { createNamespace } from "./support/servers.ts";

// What the author of one resource cannot reach, although it is in the same namespace.

const installation = await createInstallation("isolation");
const { objects } = installation;
const keystead = installation.start("run");
const mine = { environment: "mine", integration: "stripe" };
const myToken = canary("my-token");
let application: Application;

beforeAll(async () => {
  await objects.apply(
    environment("mine"),
    environment("theirs"),
    integration("stripe", "mine"),
    integration("their-stripe", "theirs"),
    integration("guarded", "mine", { allowedConnections: { matchLabels: { team: "support" } } }),
    secret("acme", { token: myToken }),
    secret("other", { token: canary("other-token") }),
    connection("acme", mine),
  );
  await objects.ready("connection/acme");
  application = await applicationOf(installation, keystead, "mine");
});
afterAll(() => installation[Symbol.asyncDispose]());

test("a connection id that is in use is not taken over: the second Connection is Stalled, the first is served", async () => {
  await objects.apply(connection("other", mine, { connectionId: "acme" }));

  const stalled = await objects.reach(
    "connection/other",
    "Ready=False ConnectionIdInUse",
    "Stalled=True ConnectionIdInUse",
  );
  expect(conditionOf(stalled, "Stalled")?.message).toMatch(/Connection id acme is in use by Connection .*\/acme/);
  expect(stalled.status).not.toHaveProperty("connectionId");
  expect(await application.credentials("acme", "stripe")).toMatchObject({ apiKey: myToken });
});

test("deleting the Connection that lost takes nothing from the one that has the id", async () => {
  await objects.delete("connection/other");

  expect(await application.credentials("acme", "stripe")).toMatchObject({ apiKey: myToken });
});

test("one id under two Integrations names two connections", async () => {
  await objects.apply(
    integration("second", "mine"),
    connection("other", { ...mine, integration: "second" }, { connectionId: "acme" }),
  );
  await objects.ready("connection/other");

  expect(await application.credentials("acme", "stripe")).toMatchObject({ apiKey: myToken });
  expect(await application.credentials("acme", "second")).not.toMatchObject({ apiKey: myToken });
});

test("an Integration of another Environment cannot be used, in either direction", async () => {
  await objects.apply(connection("stray", { environment: "mine", integration: "their-stripe" }));
  await objects.apply(connection("astray", { environment: "theirs", integration: "stripe" }));

  for (const name of ["stray", "astray"] as const) {
    await objects.reach(`connection/${name}`, "Ready=False EnvironmentMismatch", "Stalled=True EnvironmentMismatch");
  }
});

test("the key of one Environment does not see the connections, integrations and variables of another", async () => {
  const theirs = await applicationOf(installation, keystead, "theirs");

  expect(await theirs.credentials("acme", "stripe")).toBe(400);
  expect(await (await theirs.ask("/connections")).json()).toEqual({ connections: [] });
  expect(await (await theirs.ask("/integrations")).json()).toMatchObject({ data: [{ unique_key: "their-stripe" }] });
  expect(await (await theirs.ask("/environment-variables")).json()).toEqual([]);
});

test("an Integration is used only by Connections that it allows, and hears of a label at once", async () => {
  const credentials = { apiKey: { apiKeyRef: { name: "acme", key: "token" } } };
  const labelled = (team: string) =>
    objects.apply(connection("guest", { ...mine, integration: "guarded" }, { credentials }, { labels: { team } }));
  const forbidden = ["Ready=False IntegrationForbidden", "Stalled=True IntegrationForbidden"];
  await labelled("sales");
  await objects.reach("connection/guest", ...forbidden);
  expect(await application.credentials("guest", "guarded")).toBe(404);

  await labelled("support");
  await objects.ready("connection/guest");
  expect(await application.credentials("guest", "guarded")).toMatchObject({ apiKey: myToken });
});

test("an Integration that changes its mind about a Connection is heard of by it", async () => {
  await objects.apply(integration("guarded", "mine", { allowedConnections: { matchLabels: { team: "legal" } } }));
  await objects.reach("connection/guest", "Ready=False IntegrationForbidden", "Stalled=True IntegrationForbidden");

  await objects.apply(integration("guarded", "mine"));
  await objects.ready("connection/guest");
});

test.each([
  {
    reason: "IntegrationForbidden",
    how: "an Integration that begins to forbid it",
    turned: { allowedConnections: { matchLabels: { team: "nobody" } } },
  },
  {
    reason: "CredentialsMismatch",
    how: "an Integration that takes credentials of another kind",
    turned: { auth: { mode: "BASIC" } },
  },
])("$how freezes a Connection: what was stored is served until it is deleted", async ({ reason, turned }) => {
  const parents = { ...mine, integration: "turning" };
  const [before, after] = [canary("before"), canary("after")];
  await objects.apply(
    integration("turning", "mine"),
    secret("frozen", { token: before }),
    connection("frozen", parents),
  );
  await objects.ready("connection/frozen");

  await objects.apply(integration("turning", "mine", turned));
  await objects.reach("connection/frozen", `Ready=False ${reason}`, `Stalled=True ${reason}`);
  await objects.apply(secret("frozen", { token: after }), connection("marker", mine));
  await objects.reach("connection/marker", "Ready=Unknown SecretNotFound", "Reconciling=True SecretNotFound");
  expect(await application.credentials("frozen", "turning")).toEqual({ type: "API_KEY", apiKey: before });

  await objects.apply(integration("turning", "mine"));
  await objects.ready("connection/frozen");
  expect(await application.credentials("frozen", "turning"), "it catches up").toMatchObject({ apiKey: after });

  await objects.apply(integration("turning", "mine", turned));
  await objects.delete("connection/frozen", "connection/marker", "integration/turning");
  expect(await application.credentials("frozen", "turning")).toBe(400);
});

test.each([
  { kind: "basic", credentials: { basic: { username: "u", passwordRef: { name: "acme", key: "token" } } } },
  { kind: "app", credentials: { app: { installationId: "1" } } },
  { kind: "custom", credentials: { custom: { secretRef: { name: "acme" } } } },
])("credentials of kind $kind are refused by an Integration for API keys", async ({ kind, credentials }) => {
  await objects.apply(connection(`wrong-${kind}`, mine, { credentials }));

  const stalled = await objects.reach(
    `connection/wrong-${kind}`,
    "Ready=False CredentialsMismatch",
    "Stalled=True CredentialsMismatch",
  );
  expect(conditionOf(stalled, "Stalled")?.message).toContain("stripe is of mode API_KEY");
});

test("an installation of an app needs an Integration that names its app, and goes on when it does", async () => {
  const app = { auth: { mode: "APP" } };
  const credentials = { app: { installationId: "1" } };
  await objects.apply(
    integration("app", "mine", app),
    connection("app", { ...mine, integration: "app" }, { credentials }),
  );
  await objects.reach("connection/app", "Ready=False AppIdMissing", "Stalled=True AppIdMissing");

  await objects.apply(integration("app", "mine", { ...app, appId: "7" }));
  await objects.ready("connection/app");
  expect(await application.credentials("app", "app")).toEqual({ type: "APP", app_id: "7", installation_id: "1" });
});

test("a Secret of another namespace cannot be referred to by any spelling of its name", async () => {
  const foreign = await createNamespace("foreign");
  await objectsOf(objects.client, foreign.name).apply(secret("theirs", { token: canary("foreign-token") }));
  const refs = [`${foreign.name}/theirs`, "../theirs", "theirs.", "*", ""];

  for (const name of refs) {
    const credentials = { apiKey: { apiKeyRef: { name, key: "token" } } };
    await expect(objects.apply(connection("burglar", mine, { credentials })), name).rejects.toMatchObject({
      code: "kube_invalid",
      message: expect.stringContaining("spec.credentials.apiKey.apiKeyRef"),
    });
  }
  await objects.apply(
    connection("burglar", mine, { credentials: { apiKey: { apiKeyRef: { name: "theirs", key: "token" } } } }),
  );
  await objects.reach("connection/burglar", "Ready=Unknown SecretNotFound", "Reconciling=True SecretNotFound");
});
