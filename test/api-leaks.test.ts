import { Client } from "pg";
import { expect, test } from "vitest";
import { ask, createEnvironment, startTestApi, type TestApi, type TestEnvironment } from "./support/api-server.ts";

/** Recognisable secrets in every place that may hold one. */
const CANARIES = [
  "canary-apikey",
  "canary-password",
  "canary-refresh",
  "canary-config",
  "canary-client",
  "canary-variable",
];

async function storeCanaries(environment: TestEnvironment): Promise<void> {
  const tool = await environment.integration("tool", {
    mode: "OAUTH2",
    client: { type: "OAUTH2", client_id: "public-id", client_secret: "canary-client" },
  });
  await environment.connection(tool, "one", { credentials: { type: "API_KEY", value: { apiKey: "canary-apikey" } } });
  await environment.connection(tool, "two", {
    credentials: { type: "BASIC", value: { username: "u", password: "canary-password" } },
    config: { token: "canary-config" },
  });
  await environment.connection(tool, "three", {
    credentials: { type: "OAUTH2", value: { access_token: "canary-apikey", refresh_token: "canary-refresh" } },
  });
}

/** Swaps the sealed credentials of two rows behind the program's back, so that neither decrypts. */
async function swapSealedValues(api: TestApi): Promise<void> {
  const client = new Client({ connectionString: api.database.ownerUrl });
  await client.connect();
  await client.query(
    `update keystead.connections c set credentials_sealed = o.credentials_sealed
       from keystead.connections o
      where (c.connection_id, o.connection_id) in (('one', 'two'), ('two', 'one'))`,
  );
  await client.end();
}

const apiKey = { type: "API_KEY", apiKey: "canary-apikey" };
const client = { type: "OAUTH2", client_id: "id", client_secret: "canary-client" };

/** Writes that bring secrets along and cannot be done. */
const REFUSED_WRITES: readonly (readonly [method: string, path: string, body: object])[] = [
  ["POST", "/connections", { provider_config_key: "nobody", credentials: apiKey }],
  ["POST", "/connections", { provider_config_key: "tool", credentials: apiKey }],
  [
    "POST",
    "/connections",
    {
      provider_config_key: "tool",
      connection_id: "one",
      credentials: { type: "OAUTH2", access_token: "canary-apikey" },
    },
  ],
  ["POST", "/connections", { provider_config_key: "tool", credentials: { type: "canary-password" } }],
  [
    "POST",
    "/connections",
    { provider_config_key: "tool", credentials: { type: "API_KEY", apiKey: { "canary-apikey": 1 } } },
  ],
  [
    "POST",
    "/connections",
    { provider_config_key: "tool", credentials: { type: "OAUTH2", access_token: "t", expires_at: "canary-refresh" } },
  ],
  ["POST", "/connections", { provider_config_key: "tool", credentials: apiKey, connection_config: ["canary-config"] }],
  ["PATCH", "/connections/one?provider_config_key=tool", { tags: { a: ["canary-config"] } }],
  ["POST", "/integrations", { provider: "api-key", unique_key: "new", credentials: client }],
  ["POST", "/integrations", { provider: "oauth2", unique_key: "tool", credentials: client }],
  [
    "POST",
    "/integrations",
    { provider: "app", unique_key: "new", credentials: { type: "APP", app_id: "1", private_key: "canary-client" } },
  ],
  ["PATCH", "/integrations/tool", { credentials: client }],
  ["PATCH", "/integrations/nobody", { credentials: client }],
];

/** Everything that is answered with an error, and the reads that succeed beside it. */
async function provokeEverything(api: TestApi, key: string): Promise<string[]> {
  const bodies: string[] = [];
  const refused = async (path: string, authorization = `Bearer ${key}`, init: RequestInit = {}) => {
    const answer = await ask(api, path, undefined, { ...init, headers: { authorization } });
    expect(answer.status, path).toBeGreaterThanOrEqual(400);
    bodies.push(await answer.text());
  };
  await refused("/connections/one?provider_config_key=tool");
  await refused("/connections/nobody?provider_config_key=tool");
  await refused("/connections/one?provider_config_key=nobody");
  await refused("/integrations/nobody");
  await refused(`/connections/${key}?provider_config_key=tool`);
  await refused(`/connections?search=${key}&${key}=1`);
  await refused(`/${key}`);
  await refused("/connections", `Bearer ${key.slice(0, -1)}`);
  await refused("/connections", `Basic ${key}`);
  await refused("/connections", `Bearer ${key} ${key}`);
  await refused("/connections", undefined, { method: "POST", body: "canary-apikey" });
  for (const [method, path, body] of REFUSED_WRITES) {
    const headers = { "content-type": "application/json" };
    const answer = await ask(api, path, key, { method, headers, body: JSON.stringify(body) });
    expect(answer.status, `${method} ${path}`).toBeGreaterThanOrEqual(400);
    bodies.push(await answer.text());
  }
  expect((await ask(api, "/connections/three?provider_config_key=tool", key)).status).toBe(200);
  expect((await ask(api, "/integrations/tool?include=credentials", key)).status).toBe(200);
  expect((await ask(api, "/environment-variables", key)).status).toBe(200);
  return bodies;
}

test("bad case 36: no stored secret and no key reaches an error, the log, a metric or the audit", async () => {
  await using api = await startTestApi();
  const environment = await createEnvironment(api, { SIGNING_KEY: "canary-variable" });
  await storeCanaries(environment);
  await swapSealedValues(api);
  const errors = await provokeEverything(api, environment.key);

  const broken = errors[0] ?? expect.fail("nothing was answered");
  expect(JSON.parse(broken)).toMatchObject({ error: { code: "server_error" } });
  expect(api.logged(), "the operator is told which code it was").toContain("sealed_value_invalid");

  const audit = await api.vault.database.query<{ events: string }>(
    "select json_agg(a)::text as events from keystead.audit_events a",
  );
  const places = {
    errors: errors.join("\n"),
    log: api.logged(),
    metrics: await api.registry.metrics(),
    audit: audit[0]?.events ?? "",
    document: await (await ask(api, "/openapi.json")).text(),
    told: await (await ask(api, "/audit-events", environment.key)).text(),
  };
  expect(places.audit).toContain("credentials-read");
  for (const [place, text] of Object.entries(places)) {
    const found = [...CANARIES, environment.key, environment.key.slice(6, -6)].filter((secret) =>
      text.includes(secret),
    );
    expect(found, `in ${place}`).toEqual([]);
  }
});

test("a list and an integration without its client show no secret to whoever has the key", async () => {
  await using api = await startTestApi();
  const environment = await createEnvironment(api, { SIGNING_KEY: "canary-variable" });
  await storeCanaries(environment);
  for (const path of ["/connections", "/integrations", "/integrations/tool?include=webhook", "/config/tool"]) {
    const text = await (await ask(api, path, environment.key)).text();
    expect(
      CANARIES.filter((secret) => text.includes(secret)),
      path,
    ).toEqual([]);
  }
});
