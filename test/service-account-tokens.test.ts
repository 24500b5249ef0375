import { generateKeyPairSync } from "node:crypto";
import { afterAll, beforeAll, expect, test } from "vitest";
import { decodeJwt, SignJWT } from "jose";
import { createInstallation, type Installation } from "./support/keystead.ts";
import { eventually } from "./support/eventually.ts";
import { query } from "./support/database.ts";
import { conditionOf, conditionsOf, connection, environment, integration, secret } from "./support/resources.ts";
import { canary } from "./support/leaks.ts";

// Pods that send the token of their ServiceAccount instead of a key. Tokens come from the API server, by TokenRequest; the
// API has no way to it.

const ACME = "/connections/acme?provider_config_key=stripe";

/** The accounts of the Environment `shop`. */
const LISTED = [
  { name: "app", scopes: ["connections:list", "connections:read_credentials"] },
  { name: "reader", scopes: ["connections:list"], connectionSelector: { team: "sales" } },
  {
    name: "worker",
    scopes: [
      "connections:read_credentials",
      "connections:update",
      "integrations:read_credentials",
      "variables:read",
      "proxy",
    ],
  },
];

let installation: Installation;
let host: string;

beforeAll(async () => {
  installation = await createInstallation("tokens");
  const { objects } = installation;
  installation.start("controller");
  const variables = { KUBECONFIG: "/nowhere", KEYSTEAD_OUTBOUND_ALLOW: "127.0.0.1" };
  host = await installation.apiOf(installation.start("api", variables));
  const parents = { environment: "shop", integration: "stripe" };
  await Promise.all(["app", "reader", "worker", "stranger"].map((name) => createAccount(name)));
  await objects.apply(
    environment("shop", { serviceAccounts: LISTED }),
    environment("other"),
    // Nobody listens on port 9: what is recorded of a call is recorded before it.
    integration("stripe", "shop", { proxy: { baseUrl: "http://127.0.0.1:9" } }),
    secret("acme", { token: canary("acme") }),
    secret("sold", { token: canary("sold") }),
    connection("acme", parents),
    connection("sold", parents, { tags: { team: "sales" } }),
  );
  await objects.ready("environment/shop", "environment/other", "connection/acme", "connection/sold");
});
afterAll(() => installation[Symbol.asyncDispose]());

const accounts = (name = "") => `/api/v1/namespaces/${installation.namespace}/serviceaccounts${name}`;

async function createAccount(name: string): Promise<void> {
  const body = { metadata: { name } };
  await installation.objects.client.request({ method: "POST", path: accounts(), body });
}

/** A token as the kubelet would put it into a pod. */
async function tokenOf(name: string, audience = "keystead"): Promise<string> {
  const { status } = await installation.objects.client.request<{ readonly status: { readonly token: string } }>({
    method: "POST",
    path: accounts(`/${name}/token`),
    body: {
      apiVersion: "authentication.k8s.io/v1",
      kind: "TokenRequest",
      spec: { audiences: [audience], expirationSeconds: 3_600 },
    },
  });
  return status.token;
}

async function asked(token: string, path = "/connections", environmentName: string | undefined = "shop") {
  const headers = new Headers({ authorization: `Bearer ${token}` });
  if (environmentName !== undefined) headers.set("keystead-environment", environmentName);
  const answer = await fetch(host + path, { headers });
  const body = (await answer.json()) as { error?: { code: string }; connections?: { connection_id: string }[] };
  return {
    status: answer.status,
    code: body.error?.code,
    ids: body.connections?.map((one) => one.connection_id).toSorted(),
  };
}

const REFUSED = { status: 401, code: "unknown_account", ids: undefined };

test("a pod whose ServiceAccount is listed reads with its token what its scopes and its selector say", async () => {
  const app = await tokenOf("app");
  expect(await asked(app)).toMatchObject({ status: 200, ids: ["acme", "sold"] });
  expect(await asked(app, ACME)).toMatchObject({ status: 200 });
  expect(await asked(app, "/environment-variables")).toMatchObject({ status: 403, code: "forbidden" });
  const reader = await tokenOf("reader");
  expect(await asked(reader)).toMatchObject({ status: 200, ids: ["sold"] });
  expect(await asked(reader, ACME)).toMatchObject({ status: 403 });
});

test.each([
  ["an account that is not listed", () => tokenOf("stranger"), "shop"],
  ["another Environment of the namespace", () => tokenOf("app"), "other"],
  ["an Environment that does not exist", () => tokenOf("app"), "nobody"],
  ["a token for another audience", () => tokenOf("app", "vault"), "shop"],
  ["a token of the API server itself", () => tokenOf("app", "https://kubernetes.default.svc"), "shop"],
])("%s opens nothing", async (_case, token, name) => {
  expect(await asked(await token(), "/connections", name)).toEqual(REFUSED);
});

test("a token that somebody else signed, or that was changed, opens nothing", async () => {
  const real = await tokenOf("app");
  const [header = "", payload = "", signature = ""] = real.split(".");
  const { kid } = JSON.parse(Buffer.from(header, "base64url").toString());
  const { privateKey } = generateKeyPairSync("rsa", { modulusLength: 2_048 });
  const forged = await new SignJWT(decodeJwt(real)).setProtectedHeader({ alg: "RS256", kid }).sign(privateKey);
  const unsigned = `${Buffer.from('{"alg":"none"}').toString("base64url")}.${payload}.${signature}`;
  const other = Buffer.from(JSON.stringify({ ...decodeJwt(real), exp: 4_000_000_000 })).toString("base64url");
  for (const token of [forged, unsigned, `${header}.${other}.${signature}`, "eyJh.eyJh.eyJh"]) {
    expect(await asked(token)).toEqual(REFUSED);
  }
});

test("a token that is older than an hour opens nothing, however long it is valid", async () => {
  const claims = decodeJwt(await tokenOf("app"));
  const { privateKey, publicKey } = generateKeyPairSync("rsa", { modulusLength: 2_048 });
  // A second key of the issuer, as after a rotation of the API server's.
  await query(
    installation.database.ownerUrl,
    "update keystead.token_issuers set jwks = jsonb_set(jwks, '{keys,99}', $1, true)",
    [JSON.stringify({ ...publicKey.export({ format: "jwk" }), kid: "second", alg: "RS256", use: "sig" })],
  );
  const signed = (issuedAt: number) =>
    new SignJWT({ ...claims, iat: issuedAt, nbf: issuedAt, exp: issuedAt + 86_400 })
      .setProtectedHeader({ alg: "RS256", kid: "second" })
      .sign(privateKey);
  const now = Math.floor(Date.now() / 1_000);
  const young = await signed(now - 3_500);
  await eventually(async () => expect(await asked(young)).toMatchObject({ status: 200 }));
  expect(await asked(await signed(now - 3_700))).toEqual(REFUSED);
});

test("without the name of its environment a token is refused with what to send", async () => {
  const app = await tokenOf("app");
  const answer = await fetch(`${host}/connections`, { headers: { authorization: `Bearer ${app}` } });
  expect([answer.status, await answer.json()]).toEqual([
    401,
    {
      error: {
        code: "missing_environment_header",
        message: expect.stringContaining("Keystead-Environment"),
        payload: {},
      },
    },
  ]);
});

test("an account that is listed and does not exist is in the status and an event, and everything else goes on", async () => {
  const { objects } = installation;
  await objects.apply(
    environment("shop", { serviceAccounts: [...LISTED, { name: "later", scopes: ["connections:list"] }] }),
  );
  await eventually(async () => {
    expect(conditionsOf(await objects.get("environment/shop"))).toEqual([
      "Ready=True Succeeded",
      "Reconciling=True ServiceAccountNotFound",
    ]);
  });
  const { message = "" } = conditionOf(await objects.get("environment/shop"), "Reconciling") ?? {};
  expect(message).toContain("ServiceAccount later does not exist");
  await eventually(async () => {
    expect(await objects.events("environment/shop")).toContainEqual(
      expect.objectContaining({ type: "Warning", reason: "ServiceAccountNotFound", note: message }),
    );
  });
  expect(await asked(await tokenOf("app"))).toMatchObject({ status: 200 });
});

test("an account that appears later is let in, one that is deleted is out at once, and its successor is another", async () => {
  const { objects } = installation;
  await createAccount("later");
  const first = await tokenOf("later");
  await eventually(async () => expect(await asked(first)).toMatchObject({ status: 200 }));
  await objects.ready("environment/shop");
  expect(conditionsOf(await objects.get("environment/shop"))).toEqual(["Ready=True Succeeded"]);
  await objects.client.request({ method: "DELETE", path: accounts("/later") });
  await eventually(async () => expect(await asked(first)).toEqual(REFUSED));
  await eventually(async () => {
    expect(conditionsOf(await objects.get("environment/shop"))).toContain("Reconciling=True ServiceAccountNotFound");
  });

  await createAccount("later");
  const second = await tokenOf("later");
  await eventually(async () => expect(await asked(second)).toMatchObject({ status: 200 }));
  expect(await asked(first), "a token of the one before").toEqual(REFUSED);
});

test("whatever an account reads and changes is in the audit under its namespace and name", async () => {
  const token = await tokenOf("worker");
  const headers = {
    authorization: `Bearer ${token}`,
    "keystead-environment": "shop",
    "content-type": "application/json",
  };
  const metadata = { provider_config_key: "stripe", connection_id: "acme", metadata: { plan: "pro" } };
  const send = (method: string, path: string, more: { body?: string; headers?: Record<string, string> } = {}) =>
    fetch(host + path, { method, ...more, headers: { ...headers, ...more.headers } });
  const answers = [
    await send("GET", ACME),
    await send("GET", "/integrations/stripe?include=credentials"),
    await send("GET", "/environment-variables"),
    await send("POST", "/connections/metadata", { body: JSON.stringify(metadata) }),
    await send("GET", "/proxy/x", { headers: { "provider-config-key": "stripe", "connection-id": "acme" } }),
  ];
  expect(answers.map(({ status }) => status)).toEqual([200, 200, 200, 201, 502]);
  const events = await query<{ action: string; actor: string; address: string }>(
    installation.database.ownerUrl,
    "select action, actor, address from keystead.audit_events where actor_kind = 'service-account' and actor like '%/worker'",
  );
  expect(events.map(({ action }) => action).toSorted()).toEqual([
    "connection.credentials-read",
    "connection.proxied",
    "connection.updated",
    "environment.variables-read",
  ]);
  expect(new Set(events.map(({ actor }) => actor))).toEqual(new Set([`${installation.namespace}/worker`]));
  expect(events.every(({ address }) => address !== null)).toBe(true);
});

test("an edit of the list counts for the next request, and the audit says who came and went", async () => {
  const { objects, database } = installation;
  const token = await tokenOf("reader");
  await objects.apply(environment("shop", { serviceAccounts: [{ name: "app", scopes: ["connections:list"] }] }));
  await eventually(async () => expect(await asked(token)).toEqual(REFUSED));
  const events = await query<{ action: string; fields: string[] }>(
    database.ownerUrl,
    "select action, fields from keystead.audit_events where target_kind = 'service-account' order by event_id",
  );
  expect(events).toEqual(
    expect.arrayContaining([
      { action: "service-account.allowed", fields: ["reader"] },
      { action: "service-account.removed", fields: ["reader"] },
      { action: "service-account.updated", fields: ["app"] },
    ]),
  );
});
