import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { DesiredConnection } from "../src/vault/connection.ts";
import { createEnvironment, startTestApi, type TestApi, type TestEnvironment } from "./support/api-server.ts";

// Everything here goes through the public client of the contract: it is the judge of what an answer has to look like.

let api: TestApi;
let shop: TestEnvironment;
beforeAll(async () => {
  api = await startTestApi();
  shop = await createEnvironment(api, { REGION: "eu", WEBHOOK_SECRET: "whsec-1" });
});
afterAll(() => api[Symbol.asyncDispose]());

const INSTANT = expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}\+00:00$/);
const oauthToken = { access_token: "at-1", refresh_token: "rt-1", expires_at: "2030-01-01T00:00:00.000Z" };

describe("getConnection", () => {
  test("gives the full connection with its credentials", async () => {
    const github = await shop.integration("github");
    await shop.connection(github, "acme", {
      config: { subdomain: "acme" },
      metadata: { plan: "pro" },
      tags: { team: "sales" },
      endUser: {
        id: "42",
        email: "someone@acme.example",
        displayName: "Acme",
        tags: { tier: "1" },
        organization: { id: "acme", displayName: "Acme Inc" },
      },
    });
    expect(await shop.nango.getConnection("github", "acme")).toEqual({
      id: expect.any(Number),
      connection_id: "acme",
      provider_config_key: "github",
      provider: "github",
      errors: [],
      end_user: {
        id: "42",
        display_name: "Acme",
        email: "someone@acme.example",
        tags: { tier: "1" },
        organization: { id: "acme", display_name: "Acme Inc" },
      },
      tags: { team: "sales" },
      metadata: { plan: "pro" },
      webhook_url_override: null,
      created_at: INSTANT,
      updated_at: INSTANT,
      last_fetched_at: null,
      connection_config: { subdomain: "acme" },
      credentials: { type: "API_KEY", apiKey: "k-1" },
    });
  });

  test("gives null and empty for what was not declared", async () => {
    const bare = await shop.integration("bare", { provider: "bare-provider" });
    await shop.connection(bare, "none", { credentials: undefined });
    expect(await shop.nango.getConnection("bare", "none")).toMatchObject({
      provider: "bare-provider",
      end_user: null,
      tags: {},
      metadata: null,
      connection_config: {},
      credentials: {},
    });
  });

  const cases: [mode: string, DesiredConnection["credentials"] & object, shown: object][] = [
    ["API_KEY", { type: "API_KEY", value: { apiKey: "k" } }, { type: "API_KEY", apiKey: "k" }],
    [
      "BASIC",
      { type: "BASIC", value: { username: "", password: "p" } },
      { type: "BASIC", username: "", password: "p" },
    ],
    [
      "OAUTH2",
      { type: "OAUTH2", value: { ...oauthToken, raw: oauthToken }, expiresAt: new Date(oauthToken.expires_at) },
      {
        type: "OAUTH2",
        access_token: "at-1",
        expires_at: oauthToken.expires_at,
        raw: { access_token: "at-1", expires_at: oauthToken.expires_at },
      },
    ],
    [
      "OAUTH2_CC",
      { type: "OAUTH2_CC", value: { client_id: "c", client_secret: "s" } },
      { type: "OAUTH2_CC", client_id: "c", client_secret: "s" },
    ],
    [
      "APP",
      { type: "APP", value: { app_id: "1", installation_id: "123456" } },
      { type: "APP", app_id: "1", installation_id: "123456" },
    ],
    [
      "JWT",
      { type: "JWT", value: { private_key: "pem", key_id: "k1", claims: { iss: "acme" } } },
      { type: "JWT", private_key: "pem", key_id: "k1", claims: { iss: "acme" } },
    ],
    [
      "CUSTOM",
      { type: "CUSTOM", value: { host: "h", type: "theirs", 'quoted"key': "v" } },
      { type: "CUSTOM", host: "h", 'quoted"key': "v" },
    ],
  ];
  test.each(cases)("gives credentials of type %s in their shape", async (mode, credentials, shown) => {
    const integration = await shop.integration(`shape-${mode}`, { mode });
    await shop.connection(integration, "one", { credentials });
    const connection = await shop.nango.getConnection(integration.uniqueKey, "one");
    expect(connection.credentials).toEqual(shown);
  });

  test("gives refresh tokens only when they are asked for, wherever they hide", async () => {
    const integration = await shop.integration("refresh", { mode: "OAUTH2" });
    await shop.connection(integration, "one", {
      credentials: { type: "OAUTH2", value: { ...oauthToken, raw: { data: { refreshToken: "rt-1" } } } },
      config: { userCredentials: { refresh_token: "rt-2" } },
    });
    const without = await shop.nango.getConnection("refresh", "one");
    expect(JSON.stringify(without)).not.toMatch(/rt-[12]/);
    const asked = await shop.nango.getConnection("refresh", "one", false, true);
    expect(asked).toMatchObject({
      credentials: { refresh_token: "rt-1", raw: { data: { refreshToken: "rt-1" } } },
      connection_config: { userCredentials: { refresh_token: "rt-2" } },
    });
  });

  test("answers what is stored when a refresh is forced, since this version renews nothing", async () => {
    const integration = await shop.integration("forced", { mode: "OAUTH2" });
    await shop.connection(integration, "one", { credentials: { type: "OAUTH2", value: oauthToken } });
    const connection = await shop.nango.getConnection("forced", "one", true, false, true);
    expect(connection.credentials).toMatchObject({ access_token: "at-1" });
  });

  test("gives the new credentials with the first request after they were stored", async () => {
    const integration = await shop.integration("changing");
    const connection = await shop.connection(integration, "one");
    expect(await shop.nango.getToken("changing", "one")).toEqual({ type: "API_KEY", apiKey: "k-1" });
    await connection.change({ credentials: { type: "API_KEY", value: { apiKey: "k-2" } } });
    expect(await shop.nango.getToken("changing", "one")).toEqual({ type: "API_KEY", apiKey: "k-2" });
  });

  test("takes every character that an id of the contract may have, when the caller encodes it", async () => {
    const integration = await shop.integration("ids ~:.@_-");
    const id = `a/b\\c"d'e ${"x".repeat(200)},.;:=+~[]|@\${}_-`;
    await shop.connection(integration, id);
    const connection = await shop.nango.getConnection(integration.uniqueKey, encodeURIComponent(id));
    expect(connection.connection_id).toBe(id);
  });

  test("knows a connection by integration and id together", async () => {
    const [one, two] = await Promise.all([shop.integration("same-1"), shop.integration("same-2")]);
    await shop.connection(one, "acme", { credentials: { type: "API_KEY", value: { apiKey: "of one" } } });
    await shop.connection(two, "acme", { credentials: { type: "API_KEY", value: { apiKey: "of two" } } });
    expect(await shop.nango.getToken("same-1", "acme")).toMatchObject({ apiKey: "of one" });
    expect(await shop.nango.getToken("same-2", "acme")).toMatchObject({ apiKey: "of two" });
  });
});

test("getToken gives the access token of OAUTH2 as a text", async () => {
  const integration = await shop.integration("token", { mode: "OAUTH2" });
  await shop.connection(integration, "one", { credentials: { type: "OAUTH2", value: oauthToken } });
  expect(await shop.nango.getToken("token", "one")).toBe("at-1");
});

test("getRawTokenResponse gives what the provider answered", async () => {
  const integration = await shop.integration("raw", { mode: "OAUTH2" });
  const raw = { access_token: "at-1", scope: "repo", nested: { team: 7 } };
  await shop.connection(integration, "one", { credentials: { type: "OAUTH2", value: { ...oauthToken, raw } } });
  expect(await shop.nango.getRawTokenResponse("raw", "one")).toEqual(raw);
});

test("getMetadata gives what the resource declares", async () => {
  const integration = await shop.integration("metadata");
  const metadata = { plan: "pro", limits: { seats: 5 }, flags: [true, null] };
  await shop.connection(integration, "one", { metadata });
  expect(await shop.nango.getMetadata("metadata", "one")).toEqual(metadata);
});

test("getEnvironmentVariables gives names and values in the order declared", async () => {
  expect(await shop.nango.getEnvironmentVariables()).toEqual([
    { name: "REGION", value: "eu" },
    { name: "WEBHOOK_SECRET", value: "whsec-1" },
  ]);
});

function ids(answer: { readonly connections: readonly { connection_id: string }[] }): string[] {
  return answer.connections.map(({ connection_id: id }) => id);
}

describe("listConnections", () => {
  let lists: TestEnvironment;

  beforeAll(async () => {
    lists = await createEnvironment(api);
    const [github, hubspot] = [await lists.integration("github"), await lists.integration("hubspot")];
    // One after the other, so that which is newer is known.
    await lists.connection(github, "first", { tags: { team: "sales", tier: "1" } });
    await lists.connection(hubspot, "second", {
      tags: { team: "sales" },
      endUser: { id: "u-2", email: "bob@acme.example", displayName: "Bob", organization: { id: "org-2" } },
    });
    await lists.connection(github, "third", { metadata: { plan: "pro" }, endUser: { id: "u-3" } });
  });

  test("gives the newest first, in the simple shape without credentials", async () => {
    const answer = await lists.nango.listConnections({});
    expect(ids(answer)).toEqual(["third", "second", "first"]);
    expect(answer.connections[0]).toEqual({
      id: expect.any(Number),
      connection_id: "third",
      provider_config_key: "github",
      provider: "github",
      errors: [],
      end_user: { id: "u-3", display_name: null, email: null, tags: null, organization: null },
      tags: {},
      metadata: { plan: "pro" },
      created: INSTANT,
    });
  });

  test.each([
    ["a connection id", { connectionId: "second" }, ["second"]],
    ["an end user", { userId: "u-2" }, ["second"]],
    ["an integration", { integrationId: "github" }, ["third", "first"]],
    ["several integrations", { integrationId: ["github", "hubspot"] }, ["third", "second", "first"]],
    ["an integration that does not exist", { integrationId: "nobody" }, []],
    ["a tag", { tags: { team: "sales" } }, ["second", "first"]],
    ["several tags, which must all hold", { tags: { team: "sales", tier: "1" } }, ["first"]],
    ["a tag of another value", { tags: { team: "support" } }, []],
    ["several things at once", { integrationId: "github", tags: { team: "sales" } }, ["first"]],
    ["a page", { limit: 1, page: 1 }, ["second"]],
    ["a page beyond the last", { limit: 2, page: 2 }, []],
  ])("filters by %s", async (_case, params, expected) => {
    expect(ids(await lists.nango.listConnections(params))).toEqual(expected);
  });

  test.each([
    ["part of an id", "ECO", ["second"]],
    ["part of an end user's address", "bob@", ["second"]],
    ["a wildcard of SQL, taken as it is", "%", []],
  ])("searches for %s", async (_case, search, expected) => {
    expect(ids(await lists.nango.listConnections(undefined, search))).toEqual(expected);
  });

  test("filters by end user and organization in the older form of the call", async () => {
    const byUser = await lists.nango.listConnections(undefined, undefined, { endUserId: "u-3" });
    expect(ids(byUser)).toEqual(["third"]);
    const byOrganization = await lists.nango.listConnections(undefined, undefined, {
      endUserOrganizationId: "org-2",
      limit: 5,
    });
    expect(ids(byOrganization)).toEqual(["second"]);
  });

  test("an environment without connections gives an empty list", async () => {
    const empty = await createEnvironment(api);
    expect(await empty.nango.listConnections({})).toEqual({ connections: [] });
  });
});

describe("integrations", () => {
  let tools: TestEnvironment;
  beforeAll(async () => {
    tools = await createEnvironment(api);
    await tools.integration("api-key-tool", { provider: "some-provider" });
    await tools.integration("oauth-tool", {
      mode: "OAUTH2",
      client: { type: "OAUTH2", client_id: "id-1", client_secret: "cs-1", scopes: "repo,read:user" },
    });
    await tools.integration("app-tool", { mode: "APP", client: { type: "APP", app_id: "77", private_key: "pem-1" } });
  });

  test("listIntegrations gives all of the environment by name, without any secret", async () => {
    const { configs } = await tools.nango.listIntegrations();
    expect(configs.map((config) => config.unique_key)).toEqual(["api-key-tool", "app-tool", "oauth-tool"]);
    expect(configs[0]).toEqual({
      unique_key: "api-key-tool",
      provider: "some-provider",
      display_name: expect.any(String),
      logo: "",
      forward_webhooks: false,
      created_at: expect.stringMatching(/Z$/),
      updated_at: expect.stringMatching(/Z$/),
    });
    expect(JSON.stringify(configs)).not.toMatch(/cs-1|pem-1/);
  });

  test("getIntegration gives one without its client", async () => {
    const { data } = await tools.nango.getIntegration({ uniqueKey: "oauth-tool" });
    expect(data.provider).toBe("oauth-tool");
    expect(data).not.toHaveProperty("credentials");
    expect(data).not.toHaveProperty("webhook_url");
  });

  test.each([
    [
      "oauth-tool",
      { type: "OAUTH2", client_id: "id-1", client_secret: "cs-1", scopes: "repo,read:user", webhook_secret: null },
    ],
    ["app-tool", { type: "APP", app_id: "77", private_key: "pem-1", app_link: null }],
    ["api-key-tool", null],
  ])("getIntegration with credentials gives the client of %s", async (uniqueKey, credentials) => {
    const { data } = await tools.nango.getIntegration({ uniqueKey }, { include: ["credentials"] });
    expect(data.credentials).toEqual(credentials);
  });

  test("getIntegration with webhook says that there is none", async () => {
    const { data } = await tools.nango.getIntegration({ uniqueKey: "oauth-tool" }, { include: ["webhook"] });
    expect(data.webhook_url).toBeNull();
  });
});
