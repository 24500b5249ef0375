import { afterAll, beforeAll, expect, test } from "vitest";
import { type Application, applicationOf } from "./support/application.ts";
import { query } from "./support/database.ts";
import { createInstallation } from "./support/keystead.ts";
import { canary, readTables } from "./support/leaks.ts";
import { conditionOf, connection, environment, integration, secret } from "./support/resources.ts";
import { kubectl } from "./support/servers.ts";
import { startSeverableProxy } from "./support/severable-proxy.ts";

// Every way to fail with a secret at hand, with the most talkative log. Other files are searched in the same way when
// their installation ends; this one provokes what they do not.

const installation = await createInstallation("leaks");
const { objects, database, namespace } = installation;
const { hostname, port } = new URL(database.url);
const wire = await startSeverableProxy({ host: hostname, port: Number(port) });
const url = new URL(database.url);
url.port = String(wire.port);
const keystead = installation.start("run", { DATABASE_URL: url.href, KEYSTEAD_LOG_LEVEL: "trace" });
const parents = { environment: "production", integration: "stripe" };
let application: Application;

beforeAll(async () => {
  await objects.apply(
    secret("acme", { token: canary("token"), client: canary("client"), variable: canary("variable") }),
    environment("production", {
      variables: [{ name: "SECRET", valueFrom: { secretKeyRef: { name: "acme", key: "variable" } } }],
    }),
    integration("stripe", "production", { clientSecretRef: { name: "acme", key: "client" } }),
    connection("acme", parents),
  );
  await objects.ready("connection/acme");
  application = await applicationOf(installation, keystead, "production");
});
afterAll(async () => {
  await installation[Symbol.asyncDispose]();
  await wire[Symbol.asyncDispose]();
});

test("bad case 36: values that cannot be taken leave nothing but the names of Secret and key", async () => {
  const broken = Buffer.concat([Buffer.from(canary("not-utf8")), Buffer.from([0xff])]).toString("base64");
  const large = Buffer.from(canary("too-large").padEnd(70_000, "x")).toString("base64");
  await objects.apply(
    secret("broken", {}, { data: { token: broken } }),
    secret("large", {}, { data: { token: large } }),
    secret("helm", { token: canary("helm") }, { type: "helm.sh/release.v1" }),
    secret("other-key", { other: canary("other-key") }),
    secret("mismatch", { token: canary("mismatch") }),
  );
  for (const name of ["broken", "large", "helm", "other-key"]) await objects.apply(connection(name, parents));
  await objects.apply(
    connection("mismatch", parents, { credentials: { custom: { secretRef: { name: "mismatch" } } } }),
    connection("in-use", parents, {
      connectionId: "acme",
      credentials: { apiKey: { apiKeyRef: { name: "mismatch", key: "token" } } },
    }),
  );
  await objects.reach("connection/broken", "Ready=False InvalidSecretValue", "Stalled=True InvalidSecretValue");
  await objects.reach("connection/large", "Ready=False InvalidSecretValue", "Stalled=True InvalidSecretValue");
  await objects.reach("connection/helm", "Ready=False ForbiddenSecretType", "Stalled=True ForbiddenSecretType");
  await objects.reach("connection/mismatch", "Ready=False CredentialsMismatch", "Stalled=True CredentialsMismatch");
  await objects.reach("connection/in-use", "Ready=False ConnectionIdInUse", "Stalled=True ConnectionIdInUse");
  await objects.reach("connection/other-key", "Ready=Unknown SecretNotFound", "Reconciling=True SecretNotFound");

  expect(await installation.leaks()).toEqual([]);
});

test("bad case 36: a database that goes away with a secret on its way to it", async () => {
  wire.sever();
  await objects.apply(secret("acme", { token: canary("on-its-way") }), secret("new", { token: canary("new") }));
  await objects.apply(connection("new", parents));
  await objects.reach("connection/acme", "Ready=True Succeeded", "Reconciling=True DatabaseUnavailable");
  expect(await application.credentials("acme", "stripe")).toBe(503);
  wire.mend();
  await objects.ready("connection/acme", "connection/new");

  expect(await installation.leaks()).toEqual([]);
});

test("bad case 36: a database that refuses a row, and repeats the row in its error", async () => {
  await query(
    database.ownerUrl,
    "alter table keystead.connections add constraint no check (connection_id <> 'refused')",
  );
  await objects.apply(secret("refused", { token: canary("refused") }), connection("refused", parents));
  const told = await objects.reach("connection/refused", "Ready=False Failed", "Stalled=True Failed");
  expect(conditionOf(told, "Stalled")?.message).toContain("SQLSTATE 23514");
  expect(await installation.leaks()).toEqual([]);

  await query(database.ownerUrl, "alter table keystead.connections drop constraint no");
  await objects.patch("connection/refused", { metadata: { labels: { again: "please" } } });
  await objects.ready("connection/refused");
});

test("bad case 36: requests that are refused repeat neither the key nor what was looked for", async () => {
  const { key } = application;
  const base = await installation.apiOf(keystead);
  const refuse = async (path: string, authorization: string): Promise<void> => {
    const answer = await fetch(base + path, { headers: { authorization } });
    expect(answer.status, path).toBeGreaterThanOrEqual(400);
    installation.remember({ name: `the answer to ${path.slice(0, 20)}`, text: await answer.text() });
  };
  await refuse(`/connections/${key}?provider_config_key=stripe`, `Bearer ${key}`);
  await refuse(`/connections/acme?provider_config_key=${key}`, `Bearer ${key}`);
  await refuse(`/connections?${key}=1`, `Bearer ${key}`);
  await refuse("/connections", `Bearer ${key.slice(0, -1)}${key.endsWith("x") ? "y" : "x"}`);
  await refuse("/connections", `Basic ${key}`);

  expect(await installation.leaks()).toEqual([]);
});

test("config and variables that are written out in a manifest are sealed in the database", async () => {
  const written = { config: "written-out-config-7f3a9c", variable: "written-out-variable-7f3a9c" };
  await objects.apply(
    connection("written", parents, {
      credentials: { apiKey: { apiKeyRef: { name: "new", key: "token" } } },
      config: { subdomain: written.config },
    }),
    environment("production", { variables: [{ name: "WRITTEN", value: written.variable }] }),
  );
  await objects.ready("connection/written", "environment/production");

  for (const { name, text } of await readTables(database.ownerUrl)) {
    for (const value of Object.values(written)) {
      expect(text.includes(value) || text.includes(Buffer.from(value).toString("hex")), `${value} in ${name}`).toBe(
        false,
      );
    }
  }
});

test("bad case 36: kubectl shows no secret in any of its forms", async () => {
  const kinds = "environments,integrations,connections,events";
  for (const args of [
    ["get", kinds, "-o", "yaml"],
    ["get", kinds, "-o", "wide"],
    ["describe", kinds],
  ]) {
    installation.remember({
      name: `kubectl ${args[0]} ${args.at(-1)}`,
      text: await kubectl(["-n", namespace, ...args]),
    });
  }

  expect(await installation.leaks()).toEqual([]);
});
