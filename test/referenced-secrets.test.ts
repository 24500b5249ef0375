import { afterAll, beforeAll, expect, test } from "vitest";
import { type Application, applicationOf } from "./support/application.ts";
import { controllerCalls } from "./support/audit-log.ts";
import { eventually } from "./support/eventually.ts";
import { createInstallation } from "./support/keystead.ts";
import { canary } from "./support/leaks.ts";
import { conditionOf, connection, environment, integration, type Manifest, secret } from "./support/resources.ts";

// What happens when a Secret that a resource takes values from is missing, wrong, changed or deleted.

const installation = await createInstallation("secrets");
const { objects, namespace } = installation;
const keystead = installation.start("run");
const parents = { environment: "production", integration: "stripe" };
let application: Application;

beforeAll(async () => {
  await objects.apply(environment("production"), integration("stripe", "production"));
  await objects.ready("environment/production", "integration/stripe");
  application = await applicationOf(installation, keystead, "production");
});
afterAll(() => installation[Symbol.asyncDispose]());

/** A Connection with the key `token` of a Secret, by default one of its own name. */
function connectionWith(name: string, secretName = name): Manifest {
  return connection(name, parents, { credentials: { apiKey: { apiKeyRef: { name: secretName, key: "token" } } } });
}

/** How often the controller has read a Secret. */
function readsOf(name: string): number {
  return controllerCalls(namespace).filter(({ verb, objectRef }) => verb === "get" && objectRef?.name === name).length;
}

test("a missing Secret and then a missing key are named, and each is taken the moment it appears", async () => {
  await objects.apply(connectionWith("missing"));
  const noSecret = await objects.reach(
    "connection/missing",
    "Ready=Unknown SecretNotFound",
    "Reconciling=True SecretNotFound",
  );
  expect(conditionOf(noSecret, "Ready")?.message).toMatch(/Secret missing does not exist .* with the key token/);

  await objects.apply(secret("missing", { other: "value" }));
  await eventually(async () => {
    const noKey = await objects.get("connection/missing");
    expect(conditionOf(noKey, "Ready")?.message).toContain("Secret missing has no key token");
  });

  const token = canary("missing");
  await objects.apply(secret("missing", { token }));
  await objects.ready("connection/missing");
  expect(await application.credentials("missing", "stripe")).toEqual({ type: "API_KEY", apiKey: token });
});

test.each([
  { what: "is empty", data: "", says: "is empty" },
  { what: "is not UTF-8", data: Buffer.from([0x63, 0xff, 0xfe]).toString("base64"), says: "is not UTF-8" },
  {
    what: "is over 64 KiB",
    data: Buffer.alloc(65_537, "a").toString("base64"),
    says: "holds 65537 bytes; at most 65536 are allowed",
  },
])("a value that $what is Stalled, and the message names Secret and key", async ({ what, data, says }) => {
  const name = what.replaceAll(/\W/g, "-").toLowerCase();
  await objects.apply(secret(name, {}, { data: { token: data } }), connectionWith(name));

  const stalled = await objects.reach(
    `connection/${name}`,
    "Ready=False InvalidSecretValue",
    "Stalled=True InvalidSecretValue",
  );
  expect(conditionOf(stalled, "Stalled")?.message).toContain(`Key token of Secret ${name} ${says}`);

  await objects.apply(secret(name, { token: canary(name) }));
  await objects.ready(`connection/${name}`);
});

test("a value of exactly 64 KiB with every kind of character is served as it is", async () => {
  const value = '\u{1F511}\r\n\t"\\ \uFEFF ü'.padEnd(65_000, "x");
  const token = value + "y".repeat(65_536 - Buffer.byteLength(value));
  await objects.apply(secret("largest", { token }), connectionWith("largest"));
  await objects.ready("connection/largest");

  expect(await application.credentials("largest", "stripe")).toEqual({ type: "API_KEY", apiKey: token });
});

test.each([
  {
    type: "kubernetes.io/service-account-token",
    annotations: { "kubernetes.io/service-account.name": "keystead-controller" },
  },
  { type: "bootstrap.kubernetes.io/token", annotations: {} },
  { type: "helm.sh/release.v1", annotations: {} },
])("a Secret of type $type is never taken, and its value never stored", async ({ type, annotations }) => {
  const name = type.split("/")[0]?.replaceAll(".", "-") ?? "";
  const metadata = { name, annotations };
  await objects.apply({ ...secret(name, { token: canary(name) }), type, metadata }, connectionWith(name));

  const stalled = await objects.reach(
    `connection/${name}`,
    "Ready=False ForbiddenSecretType",
    "Stalled=True ForbiddenSecretType",
  );
  expect(conditionOf(stalled, "Stalled")?.message).toContain(type);
  expect(await application.credentials(name, "stripe")).toBe(404);
});

test("a Secret that is deleted later leaves the credential served and Ready, and says what is missing", async () => {
  const token = canary("deleted");
  await objects.apply(secret("deleted", { token }), connectionWith("deleted"));
  await objects.ready("connection/deleted");

  await objects.delete("secret/deleted");
  await objects.reach("connection/deleted", "Ready=True Succeeded", "Reconciling=True SecretNotFound");
  expect(await application.credentials("deleted", "stripe")).toMatchObject({ apiKey: token });

  const again = canary("deleted-again");
  await objects.apply(secret("deleted", { token: again }));
  await objects.ready("connection/deleted");
  expect(await application.credentials("deleted", "stripe")).toMatchObject({ apiKey: again });
});

test("a wrong value does not take away the credential that was stored before", async () => {
  const token = canary("kept");
  await objects.apply(secret("kept", { token }), connectionWith("kept"));
  await objects.ready("connection/kept");

  await objects.apply(secret("kept", { token: "" }));
  await objects.reach("connection/kept", "Ready=False InvalidSecretValue", "Stalled=True InvalidSecretValue");

  expect(await application.credentials("kept", "stripe")).toMatchObject({ apiKey: token });
});

test("one Secret of many Connections is read once for all of them, and its change reaches all", async () => {
  const names = Array.from({ length: 20 }, (_, index) => `shared-${index}`);
  await objects.apply(secret("shared", { token: canary("shared") }));
  await Promise.all(names.map((name) => objects.apply(connectionWith(name, "shared"))));
  await objects.ready(...names.map((name) => `connection/${name}` as const));
  expect(readsOf("shared")).toBe(1);

  const token = canary("shared-changed");
  await objects.apply(secret("shared", { token }));
  await eventually(async () => {
    const served = await Promise.all(names.map((name) => application.credentials(name, "stripe")));
    expect(served).toEqual(names.map(() => ({ type: "API_KEY", apiKey: token })));
  });
  expect(readsOf("shared")).toBe(2);
});

test("a reference that moves to another key of the same Secret is followed", async () => {
  const other = canary("other-key");
  await objects.apply(secret("keys", { token: canary("first-key"), other }), connectionWith("keys"));
  await objects.ready("connection/keys");

  await objects.apply(
    connection("keys", parents, { credentials: { apiKey: { apiKeyRef: { name: "keys", key: "other" } } } }),
  );
  await objects.ready("connection/keys");

  expect(await application.credentials("keys", "stripe")).toMatchObject({ apiKey: other });
});

test("a Secret that is deleted and made again at once is taken, although its name never changed", async () => {
  const token = canary("replacement");
  await objects.apply(secret("replaced", { token: canary("replaced") }), connectionWith("replaced"));
  await objects.ready("connection/replaced");

  await objects.delete("secret/replaced");
  await objects.apply(secret("replaced", { token }));

  await eventually(async () =>
    expect(await application.credentials("replaced", "stripe")).toMatchObject({ apiKey: token }),
  );
  await objects.ready("connection/replaced");
});

test("variables of an Environment and the client of an Integration follow their Secrets", async () => {
  const from = { name: "followed", key: "value" };
  await objects.apply(
    secret("followed", { value: canary("followed") }),
    environment("production", { variables: [{ name: "TOKEN", valueFrom: { secretKeyRef: from } }] }),
    integration("stripe", "production", { clientSecretRef: from }),
  );
  await objects.ready("environment/production", "integration/stripe");

  const value = canary("followed-changed");
  await objects.apply(secret("followed", { value }));

  await eventually(async () => {
    expect(await application.nango.getEnvironmentVariables()).toEqual([{ name: "TOKEN", value }]);
    const { data } = await application.nango.getIntegration({ uniqueKey: "stripe" }, { include: ["credentials"] });
    expect(data.credentials).toMatchObject({ client_secret: value });
  });
});
