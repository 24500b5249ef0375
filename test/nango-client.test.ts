import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Nango } from "@nangohq/node";
import { createEnvironment, startTestApi, type TestApi, type TestEnvironment } from "./support/api-server.ts";
import { query } from "./support/database.ts";

// Every method of Nango's public client that is about credentials, against this server: what it gives, and each error that
// the contract documents for it. Reads in more detail: api.test.ts.

let api: TestApi;
let shop: TestEnvironment;
let nango: Nango;
/** Keys that may do everything but what their name says. */
let reader: Nango;

beforeAll(async () => {
  api = await startTestApi();
  shop = await createEnvironment(api, { REGION: "eu" });
  ({ nango } = shop);
  const [key = ""] = await shop.apiKeys({ name: "reader", scopes: ["connections:list"] });
  reader = shop.client(key);
  const declared = await shop.integration("declared", { mode: "API_KEY" });
  await shop.connection(declared, "managed", { metadata: { plan: "pro" } });
  await nango.createIntegration({ provider: "api-key", unique_key: "tool" });
  await nango.createIntegration({ provider: "oauth2", unique_key: "oauth", credentials: CLIENT });
});
afterAll(() => api[Symbol.asyncDispose]());

const CLIENT = {
  type: "OAUTH2",
  client_id: "Iv1.01",
  client_secret: "client-secret",
  scopes: "repo,read:user",
} as const;
const API_KEY = { type: "API_KEY", apiKey: "k-1" };
const TOKEN = { type: "OAUTH2", access_token: "at-1", refresh_token: "rt-1", expires_at: "2030-01-01T00:00:00.000Z" };

/** The client has no method for it. */
async function put(body: object): Promise<{ status: number; body: Record<string, unknown> }> {
  const { status, data } = await nango.http.post<Record<string, unknown>>(`${api.url}/connections`, body, {
    headers: { authorization: `Bearer ${shop.key}` },
  });
  return { status, body: data };
}

async function connect(connectionId: string, more: object = {}): Promise<void> {
  await put({ provider_config_key: "tool", connection_id: connectionId, credentials: API_KEY, ...more });
}

interface Refusal {
  readonly status: number;
  readonly code: string;
  readonly payload?: unknown;
}

/** What a refused call was answered. */
async function refusal(call: Promise<unknown>): Promise<Refusal> {
  const thrown: unknown = await call.then(
    () => expect.unreachable("the call was not refused"),
    (error: unknown) => error,
  );
  const { response } = thrown as { response: { status: number; data: { error: Omit<Refusal, "status"> } } };
  return { status: response.status, ...response.data.error };
}

/** A kind of error that calls share: the key opens nothing, or does not have the scope. */
async function expectKeyErrors(call: (client: Nango) => Promise<unknown>): Promise<void> {
  expect(await refusal(call(shop.client("junk")))).toMatchObject({ status: 401, code: "invalid_secret_key_format" });
  expect(await refusal(call(reader))).toMatchObject({ status: 403, code: "forbidden" });
}

describe("POST /connections", () => {
  test("stores a connection and answers 201 with the full shape, whose instants end in Z", async () => {
    const { status, body } = await put({
      provider_config_key: "tool",
      connection_id: "created",
      credentials: API_KEY,
      metadata: { plan: "pro" },
      connection_config: { subdomain: "acme" },
      tags: { Team: "sales" },
      end_user: { id: "42", email: "a@b.example", display_name: "A", organization: { id: "o", display_name: "O" } },
    });
    expect(status).toBe(201);
    const instant = expect.stringMatching(/Z$/);
    expect(body).toEqual({
      id: expect.any(Number),
      connection_id: "created",
      provider_config_key: "tool",
      provider: "api-key",
      errors: [],
      end_user: {
        id: "42",
        display_name: "A",
        email: "a@b.example",
        tags: null,
        organization: { id: "o", display_name: "O" },
      },
      tags: { team: "sales" },
      metadata: { plan: "pro" },
      webhook_url_override: null,
      created_at: instant,
      updated_at: instant,
      last_fetched_at: null,
      connection_config: { subdomain: "acme" },
      credentials: API_KEY,
    });
    const { created_at: _created, updated_at: _updated, ...read } = await nango.getConnection("tool", "created");
    expect(body).toMatchObject(read);
  });

  test("makes an id where none is given", async () => {
    const { body } = await put({ provider_config_key: "tool", credentials: API_KEY });
    expect(body["connection_id"]).toMatch(/^[0-9a-f-]{36}$/);
  });

  test("overwrites a connection of the same id, and what is left out stays", async () => {
    await connect("twice", { metadata: { plan: "pro" }, connection_config: { subdomain: "acme" }, tags: { a: "1" } });
    const before = await nango.getConnection("tool", "twice");
    const second = { type: "API_KEY", apiKey: "k-2" };
    await connect("twice", { credentials: second, tags: { b: "2" } });
    expect(await nango.getConnection("tool", "twice")).toEqual({
      ...before,
      credentials: second,
      tags: { b: "2" },
      updated_at: expect.any(String),
    });
  });

  test.each([
    ["an unknown integration", { provider_config_key: "nobody" }, 404, "not_found"],
    ["credentials of another type than the integration's mode", { credentials: TOKEN }, 400, "invalid_body"],
    ["no credentials", { credentials: undefined }, 400, "invalid_body"],
    ["a member that does not exist", { tag: {} }, 400, "invalid_body"],
    ["a webhook, which this version does not send", { webhook_url_override: "https://a.example" }, 400, "invalid_body"],
    ["an id with a character that ids cannot have", { connection_id: "a<b" }, 400, "invalid_body"],
    [
      "an api key over 1,024 characters",
      { credentials: { ...API_KEY, apiKey: "k".repeat(1_025) } },
      400,
      "invalid_body",
    ],
    ["metadata that no column can hold", { metadata: { a: "\0" } }, 400, "database_value_refused"],
  ])("refuses %s", async (_case, change, status, code) => {
    const body = { provider_config_key: "tool", connection_id: "refused", credentials: API_KEY, ...change };
    expect(await refusal(put(body))).toMatchObject({ status, code });
    expect(await refusal(nango.getConnection("tool", "refused"))).toMatchObject({ status: 404 });
  });

  test.each([
    ["BASIC", "basic", undefined, { type: "BASIC", username: "", password: "p" }],
    ["OAUTH1", "oauth1", { ...CLIENT, type: "OAUTH1" }, { type: "OAUTH1", oauth_token: "t", oauth_token_secret: "s" }],
    [
      "OAUTH2_CC",
      "oauth2-cc",
      undefined,
      { type: "OAUTH2_CC", token: "t", client_id: "c", client_secret: "s", expires_at: "2030-01-01T00:00:00.000Z" },
    ],
    ["APP", "app", APP(), { type: "APP", app_id: "77", installation_id: "123456" }],
    ["NONE", "none", undefined, { type: "NONE" }],
  ])("takes credentials of type %s", async (type, provider, client, credentials) => {
    const uniqueKey = `of-${provider}`;
    const body = { provider, unique_key: uniqueKey, ...(client && { credentials: client }) };
    await nango.createIntegration(body as Parameters<Nango["createIntegration"]>[0]);
    await put({ provider_config_key: uniqueKey, connection_id: "one", credentials });
    const shown = await nango.getToken(uniqueKey, "one");
    if (type === "OAUTH1") expect(shown).toEqual({ oAuthToken: "t", oAuthTokenSecret: "s" });
    else expect(shown).toMatchObject(type === "NONE" ? {} : credentials);
  });
});

function APP() {
  return {
    type: "APP",
    app_id: "77",
    app_link: "https://apps.example/acme",
    private_key: "-----BEGIN RSA PRIVATE KEY-----\nMIIB\n-----END RSA PRIVATE KEY-----",
  } as const;
}

describe("getConnection, getToken, getRawTokenResponse, getMetadata", () => {
  beforeAll(async () => {
    await put({ provider_config_key: "oauth", connection_id: "acme", credentials: TOKEN, metadata: { plan: "pro" } });
  });

  test("getConnection gives the full connection, refresh tokens only where they are asked for", async () => {
    const { credentials } = await nango.getConnection("oauth", "acme");
    expect(credentials).toMatchObject({ type: "OAUTH2", access_token: "at-1", raw: { access_token: "at-1" } });
    expect(JSON.stringify(credentials)).not.toContain("rt-1");
    const asked = await nango.getConnection("oauth", "acme", false, true);
    expect(asked.credentials).toMatchObject({ refresh_token: "rt-1", raw: { refresh_token: "rt-1" } });
  });

  test("getToken gives the access token", async () => {
    expect(await nango.getToken("oauth", "acme")).toBe("at-1");
  });

  test("getRawTokenResponse gives what stands for the provider's answer", async () => {
    const { access_token, expires_at } = TOKEN;
    expect(await nango.getRawTokenResponse("oauth", "acme")).toEqual({ access_token, expires_at });
  });

  test("getMetadata gives the metadata", async () => {
    expect(await nango.getMetadata("oauth", "acme")).toEqual({ plan: "pro" });
  });

  test("each of them says 400 unknown_provider_config, 404 not_found, 401 and 403", async () => {
    const methods = ["getConnection", "getToken", "getRawTokenResponse", "getMetadata"] as const;
    for (const method of methods) {
      const call = (client: Nango, key: string, id: string): Promise<unknown> => client[method](key, id);
      expect(await refusal(call(nango, "nobody", "acme")), method).toMatchObject({
        status: 400,
        code: "unknown_provider_config",
      });
      expect(await refusal(call(nango, "oauth", "nobody")), method).toMatchObject({ status: 404, code: "not_found" });
      await expectKeyErrors((client) => call(client, "oauth", "acme"));
    }
  });
});

describe("setMetadata and updateMetadata", () => {
  test("setMetadata replaces, answers 201 and gives the body back", async () => {
    await connect("set", { metadata: { plan: "pro", seats: 5 } });
    const { status, data } = await nango.setMetadata("tool", "set", { plan: "free" });
    expect(status).toBe(201);
    expect(data).toEqual({ provider_config_key: "tool", connection_id: "set", metadata: { plan: "free" } });
    expect(await nango.getMetadata("tool", "set")).toEqual({ plan: "free" });
  });

  test("updateMetadata merges the top level, answers 200 and gives the body back", async () => {
    await connect("update", { metadata: { plan: "pro", limits: { seats: 5 } } });
    const { status, data } = await nango.updateMetadata("tool", "update", { limits: { users: 7 }, flag: null });
    expect(status).toBe(200);
    expect(data).toMatchObject({ connection_id: "update" });
    expect(await nango.getMetadata("tool", "update")).toEqual({ plan: "pro", limits: { users: 7 }, flag: null });
  });

  test.each(["setMetadata", "updateMetadata"] as const)("%s takes a list of connections", async (method) => {
    await Promise.all([connect(`${method}-1`), connect(`${method}-2`)]);
    await nango[method]("tool", [`${method}-1`, `${method}-2`], { seen: true });
    expect(await nango.getMetadata("tool", `${method}-1`)).toEqual({ seen: true });
    expect(await nango.getMetadata("tool", `${method}-2`)).toEqual({ seen: true });
  });

  test.each(["setMetadata", "updateMetadata"] as const)("%s changes all of a list or none", async (method) => {
    await connect(`${method}-kept`, { metadata: { plan: "pro" } });
    const unknown = { status: 404, code: "unknown_connection" };
    expect(await refusal(nango[method]("tool", [`${method}-kept`, "nobody"], { plan: "x" }))).toMatchObject(unknown);
    expect(await refusal(nango[method]("nobody", `${method}-kept`, { plan: "x" }))).toMatchObject(unknown);
    expect(await nango.getMetadata("tool", `${method}-kept`)).toEqual({ plan: "pro" });
    await expectKeyErrors((client) => client[method]("tool", `${method}-kept`, { plan: "x" }));
  });

  test("metadata that a resource declares is refused with 409, which names the resource", async () => {
    expect(await refusal(nango.updateMetadata("declared", "managed", { plan: "x" }))).toMatchObject({
      status: 409,
      code: "managed_by_resource",
      payload: { kind: "Connection", namespace: "shop", name: "connection" },
    });
    expect(await nango.getMetadata("declared", "managed")).toEqual({ plan: "pro" });
  });
});

function patch(connectionId: string, key: string, body: object, client = nango): Promise<unknown> {
  return client.patchConnection({ connectionId, provider_config_key: key }, body);
}

describe("patchConnection", () => {
  test("replaces end user and tags as a whole", async () => {
    await connect("patched", { tags: { a: "1" }, end_user: { id: "1", email: "a@b.example" } });
    const params = { connectionId: "patched", provider_config_key: "tool" };
    expect(await nango.patchConnection(params, { tags: { b: "2" }, end_user: { id: "2" } })).toEqual({ success: true });
    expect(await nango.getConnection("tool", "patched")).toMatchObject({
      tags: { b: "2" },
      end_user: { id: "2", email: null },
      credentials: API_KEY,
    });
    expect(await nango.patchConnection(params, { webhook_url_override: "" })).toEqual({ success: true });
    expect((await nango.getConnection("tool", "patched")).tags).toEqual({ b: "2" });
  });

  test("says 400 unknown_provider_config, 404 not_found, 400 invalid_body, 409, 401 and 403", async () => {
    await connect("unpatched");
    expect(await refusal(patch("unpatched", "nobody", {}))).toMatchObject({
      status: 400,
      code: "unknown_provider_config",
    });
    expect(await refusal(patch("nobody", "tool", {}))).toMatchObject({ status: 404, code: "not_found" });
    expect(await refusal(patch("unpatched", "tool", { tag: {} }))).toMatchObject({ status: 400, code: "invalid_body" });
    expect(await refusal(patch("managed", "declared", { tags: {} }))).toMatchObject({ status: 409 });
    await expectKeyErrors((client) => patch("unpatched", "tool", { tags: {} }, client));
  });
});

describe("deleteConnection", () => {
  test("makes a connection unknown", async () => {
    await connect("deleted");
    const { status, data } = await nango.deleteConnection("tool", "deleted");
    expect([status, data]).toEqual([200, { success: true }]);
    expect(await refusal(nango.getConnection("tool", "deleted"))).toMatchObject({ status: 404, code: "not_found" });
    expect((await nango.listConnections({ connectionId: "deleted" })).connections).toEqual([]);
  });

  test("says 400 unknown_connection, 409 for one of a resource, 401 and 403", async () => {
    expect(await refusal(nango.deleteConnection("tool", "nobody"))).toMatchObject({
      status: 400,
      code: "unknown_connection",
    });
    expect(await refusal(nango.deleteConnection("declared", "managed"))).toMatchObject({
      status: 409,
      code: "managed_by_resource",
    });
    await expectKeyErrors((client) => client.deleteConnection("tool", "nobody"));
  });
});

function idsOf({ connections }: Awaited<ReturnType<Nango["listConnections"]>>): string[] {
  return connections.map(({ connection_id: id }) => id);
}

describe("listConnections and waitForConnection", () => {
  beforeAll(async () => {
    await connect("listed", { tags: { team: "listed" }, end_user: { id: "u-listed", email: "l@b.example" } });
  });

  test("listConnections filters by id, user, integration and tags, in both forms of the call", async () => {
    const filters = [
      { connectionId: "listed" },
      { userId: "u-listed" },
      { tags: { Team: "listed" } },
      { integrationId: ["tool", "oauth"], tags: { team: "listed" }, limit: 5 },
    ];
    for (const filter of filters) expect(idsOf(await nango.listConnections(filter))).toEqual(["listed"]);
    expect(idsOf(await nango.listConnections("listed"))).toEqual(["listed"]);
    expect(idsOf(await nango.listConnections(undefined, "L@B", { limit: 5 }))).toEqual(["listed"]);
    expect(await refusal(nango.listConnections({ limit: 2_001 }))).toMatchObject({
      status: 400,
      code: "invalid_query_params",
    });
    expect(await refusal(shop.client("junk").listConnections({}))).toMatchObject({ status: 401 });
  });

  test("waitForConnection gives the connection of an end user", async () => {
    expect(await nango.waitForConnection("tool", "u-listed")).toMatchObject({ connection_id: "listed" });
  });
});

describe("integrations", () => {
  test("createIntegration adds one and gives it", async () => {
    const { data } = await nango.createIntegration({
      provider: "oauth2",
      unique_key: "made",
      display_name: "Made",
      credentials: CLIENT,
      forward_webhooks: false,
    });
    expect(data).toEqual({
      unique_key: "made",
      provider: "oauth2",
      display_name: "Made",
      logo: "",
      forward_webhooks: false,
      created_at: expect.stringMatching(/Z$/),
      updated_at: expect.stringMatching(/Z$/),
    });
    const shown = await nango.getIntegration({ uniqueKey: "made" }, { include: ["credentials"] });
    expect(shown.data.credentials).toEqual({ ...CLIENT, webhook_secret: null });
  });

  test.each([
    ["an unknown provider", { provider: "nobody", unique_key: "refused" }],
    ["a key that is taken", { provider: "api-key", unique_key: "tool" }],
    ["missing credentials", { provider: "oauth2", unique_key: "refused" }],
    ["credentials of another type", { provider: "oauth2", unique_key: "refused", credentials: APP() }],
    ["credentials where there are none", { provider: "api-key", unique_key: "refused", credentials: CLIENT }],
    ["a member that does not exist", { provider: "api-key", unique_key: "refused", name: "x" }],
    [
      "forwarding of webhooks, which this version does not have",
      { provider: "api-key", unique_key: "refused", forward_webhooks: true },
    ],
  ])("createIntegration says 400 invalid_body for %s", async (_case, body) => {
    const call = nango.createIntegration(body);
    expect(await refusal(call)).toMatchObject({ status: 400, code: "invalid_body" });
    expect(await refusal(nango.getIntegration({ uniqueKey: "refused" }))).toMatchObject({ status: 404 });
  });

  test("createQuickstartIntegration adds one that needs no client", async () => {
    const { data } = await nango.createQuickstartIntegration({ provider: "basic", unique_key: "quick" });
    expect(data).toMatchObject({ unique_key: "quick", provider: "basic", display_name: "quick" });
    const needsMore = nango.createQuickstartIntegration({ provider: "oauth2", unique_key: "quick-2" });
    expect(await refusal(needsMore)).toMatchObject({ status: 400, code: "invalid_body" });
    await expectKeyErrors((client) => client.createQuickstartIntegration({ provider: "basic", unique_key: "quick-3" }));
  });

  test("listIntegrations and getIntegration give integrations of resources and of the API", async () => {
    const { configs } = await nango.listIntegrations();
    const keys = configs.map(({ unique_key: key }) => key);
    expect(keys).toEqual(expect.arrayContaining(["declared", "tool", "oauth"]));
    expect((await nango.getIntegration({ uniqueKey: "declared" })).data.unique_key).toBe("declared");
    expect(await refusal(nango.getIntegration({ uniqueKey: "nobody" }))).toMatchObject({
      status: 404,
      code: "not_found",
    });
    await expectKeyErrors((client) => client.listIntegrations());
    await expectKeyErrors((client) => client.getIntegration({ uniqueKey: "tool" }));
  });

  test("updateIntegration changes name, client and key", async () => {
    await nango.createIntegration({ provider: "oauth2", unique_key: "before", credentials: CLIENT });
    const change = { unique_key: "after", display_name: "After", credentials: { ...CLIENT, client_secret: "new" } };
    const { data } = await nango.updateIntegration({ uniqueKey: "before" }, change);
    expect(data).toMatchObject({ unique_key: "after", display_name: "After" });
    const shown = await nango.getIntegration({ uniqueKey: "after" }, { include: ["credentials"] });
    expect(shown.data.credentials).toMatchObject({ client_secret: "new" });
    expect(await refusal(nango.getIntegration({ uniqueKey: "before" }))).toMatchObject({ status: 404 });
  });

  test("updateIntegration says 404, 400 for a key in use, a rename with connections and wrong credentials, 409, 401 and 403", async () => {
    await connect("keeps-its-name");
    const update = (uniqueKey: string, body: Parameters<Nango["updateIntegration"]>[1], client = nango) =>
      client.updateIntegration({ uniqueKey }, body);
    expect(await refusal(update("nobody", {}))).toMatchObject({ status: 404, code: "not_found" });
    const invalid = { status: 400, code: "invalid_body" };
    expect(await refusal(update("tool", { unique_key: "renamed" }))).toMatchObject(invalid);
    await nango.createIntegration({ provider: "api-key", unique_key: "unused" });
    expect(await refusal(update("unused", { unique_key: "tool" }))).toMatchObject(invalid);
    expect(await refusal(update("tool", { credentials: CLIENT }))).toMatchObject(invalid);
    expect(await refusal(update("declared", { display_name: "x" }))).toMatchObject({
      status: 409,
      code: "managed_by_resource",
      payload: { kind: "Integration", namespace: "shop", name: "declared" },
    });
    await expectKeyErrors((client) => update("tool", { display_name: "x" }, client));
  });

  test("deleteIntegration deletes it with its connections", async () => {
    await nango.createIntegration({ provider: "api-key", unique_key: "going" });
    await put({ provider_config_key: "going", connection_id: "one", credentials: API_KEY });
    const { status, data } = await nango.deleteIntegration("going");
    expect([status, data]).toEqual([200, { success: true }]);
    expect(await refusal(nango.getConnection("going", "one"))).toMatchObject({ code: "unknown_provider_config" });
    expect(await refusal(nango.deleteIntegration("going"))).toMatchObject({ status: 404, code: "not_found" });
    expect(await refusal(nango.deleteIntegration("declared"))).toMatchObject({ status: 409 });
    await expectKeyErrors((client) => client.deleteIntegration("tool"));
  });
});

describe("providers and variables", () => {
  test("listProviders gives what integrations can be made for, and searches", async () => {
    const { data } = await nango.listProviders({});
    expect(data.map(({ name }) => name)).toEqual(expect.arrayContaining(["oauth2", "api-key", "basic", "app", "none"]));
    const { data: found } = await nango.listProviders({ search: "OAuth 2.0 CLIENT credentials" });
    expect(found).toEqual([
      { name: "oauth2-cc", display_name: expect.any(String), auth_mode: "OAUTH2_CC", logo_url: "", docs: "" },
    ]);
    expect(data.length).toBeGreaterThan(150);
    expect(data.map(({ name }) => name)).toEqual(data.map(({ name }) => name).toSorted());
    expect(await refusal(shop.client("junk").listProviders({}))).toMatchObject({ status: 401 });
  });

  test("getProvider gives one, and 404 not_found", async () => {
    const { data } = await nango.getProvider({ provider: "basic" });
    expect(data).toMatchObject({ name: "basic", auth_mode: "BASIC" });
    expect(await refusal(nango.getProvider({ provider: "nobody" }))).toMatchObject({ status: 404, code: "not_found" });
  });

  test("getProvider gives all that the catalogue says of one, in the names of the contract", async () => {
    const { data } = await nango.getProvider({ provider: "zendesk" });
    expect(data).toEqual({
      name: "zendesk",
      display_name: "Zendesk",
      auth_mode: "OAUTH2",
      logo_url: "",
      docs: expect.stringMatching(/^https:/),
      authorization_url: "https://${connectionConfig.subdomain}.zendesk.com/oauth/authorizations/new",
      token_url: "https://${connectionConfig.subdomain}.zendesk.com/oauth/tokens",
      proxy: {
        base_url: "https://${connectionConfig.subdomain}.zendesk.com",
        headers: { authorization: "Bearer ${credentials.access_token}" },
      },
      connection_config: {
        subdomain: {
          type: "string",
          title: "Subdomain",
          description: expect.any(String),
          example: "acme",
          order: 0,
          automated: false,
        },
      },
    });
    expect((await nango.getProvider({ provider: "slack" })).data).toMatchObject({
      scope_separator: ",",
      disable_pkce: true,
      token_request_auth_method: "basic",
    });
    expect((await nango.getProvider({ provider: "hubspot" })).data).toMatchObject({ token_expiration_buffer: 300 });
    expect((await nango.getProvider({ provider: "freshdesk" })).data).toMatchObject({
      proxy: { headers: { authorization: "Basic ${base64(${credentials.apiKey}:X)}" } },
    });
  });

  test("an integration that is made for a provider of the catalogue goes where the catalogue says", async () => {
    const body = { provider: "stripe-api-key", unique_key: "stripe" };
    expect((await nango.createIntegration(body)).data).toMatchObject({ ...body, display_name: "stripe" });
    await put({ provider_config_key: "stripe", connection_id: "one", credentials: API_KEY });
    const [stored] = await query(
      api.database.ownerUrl,
      "select settings, accepted_origins from keystead.integrations where unique_key = 'stripe'",
    );
    expect(stored).toEqual({
      settings: {
        auth: { mode: "API_KEY" },
        scopes: [],
        proxy: { baseUrl: "https://api.stripe.com", headers: { authorization: "Bearer ${credentials.apiKey}" } },
      },
      accepted_origins: ["https://api.stripe.com"],
    });
  });

  test("getEnvironmentVariables gives names and values", async () => {
    expect(await nango.getEnvironmentVariables()).toEqual([{ name: "REGION", value: "eu" }]);
    await expectKeyErrors((client) => client.getEnvironmentVariables());
  });
});

test.each<[string, (client: Nango) => Promise<unknown>]>([
  ["getProviderTemplates", (client) => client.getProviderTemplates({ provider: "basic" })],
  ["listFunctions", (client) => client.listFunctions({ uniqueKey: "tool" })],
  ["getScriptsConfig", (client) => client.getScriptsConfig()],
  ["listRecords", (client) => client.listRecords({ providerConfigKey: "tool", connectionId: "acme", model: "m" })],
  ["startSync", (client) => client.startSync("tool", ["s"], "acme")],
  ["triggerAction", (client) => client.triggerAction("tool", "acme", "a", {})],
])("%s, which is not about credentials, is 404 not_found", async (_method, call) => {
  expect(await refusal(call(nango))).toMatchObject({ status: 404, code: "not_found" });
});
