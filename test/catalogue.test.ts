import { afterAll, expect, test } from "vitest";
import { applicationOf } from "./support/application.ts";
import { query } from "./support/database.ts";
import { eventually } from "./support/eventually.ts";
import { createInstallation } from "./support/keystead.ts";
import { canary } from "./support/leaks.ts";
import { conditionOf, conditionsOf, connection, environment, integration, secret } from "./support/resources.ts";
import { startUpstream } from "./support/upstream.ts";

// Integrations of providers that the catalogue knows, from the manifest to the call.

const installation = await createInstallation("catalogue");
const { objects, database } = installation;
const keystead = installation.start("run", { KEYSTEAD_OUTBOUND_ALLOW: "127.0.0.1/32" });
await objects.apply(environment("shop"));

afterAll(() => installation[Symbol.asyncDispose]());

/** An Integration without a mode of its own. */
const of = (name: string, spec: object) => integration(name, "shop", { auth: undefined, ...spec });

/** A Connection of the Integration of that name, with a key of its own. */
const connectionOf = (name: string, token = canary(name), spec: object = {}) => [
  secret(name, { token }),
  connection(name, { environment: "shop", integration: name }, spec),
];

async function storedOf(name: string) {
  const [row] = await query<{ settings: { auth: object; proxy?: object }; accepted_origins: string[] | null }>(
    database.ownerUrl,
    "select settings, accepted_origins from keystead.integrations where unique_key = $1",
    [name],
  );
  return row ?? expect.unreachable();
}

test("the name of a provider is all that an Integration has to say", async () => {
  const apiKey = canary("stripe");
  await objects.apply(of("stripe", { provider: "stripe-api-key" }), ...connectionOf("stripe", apiKey));
  await objects.ready("integration/stripe", "connection/stripe");
  expect(await storedOf("stripe")).toMatchObject({
    settings: {
      auth: { mode: "API_KEY" },
      proxy: { baseUrl: "https://api.stripe.com", headers: { authorization: "Bearer ${credentials.apiKey}" } },
    },
    accepted_origins: ["https://api.stripe.com"],
  });
  const { nango } = await applicationOf(installation, keystead, "shop");
  expect(await nango.getToken("stripe", "stripe")).toEqual({ type: "API_KEY", apiKey });
  expect((await nango.getIntegration({ uniqueKey: "stripe" })).data).toMatchObject({ provider: "stripe-api-key" });
});

test("a field of spec.auth wins over the catalogue, and leaves the others", async () => {
  await objects.apply(of("zendesk", { provider: "zendesk", auth: { pkce: false, expiryBuffer: "5m" } }));
  await objects.ready("integration/zendesk");
  const { settings, accepted_origins: origins } = await storedOf("zendesk");
  expect(settings.auth).toEqual({
    mode: "OAUTH2",
    authorizationUrl: "https://${connectionConfig.subdomain}.zendesk.com/oauth/authorizations/new",
    tokenUrl: "https://${connectionConfig.subdomain}.zendesk.com/oauth/tokens",
    clientAuthentication: "client_secret_post",
    pkce: false,
    expiryBuffer: "5m",
  });
  expect(origins).toEqual(["https://${connectionconfig.subdomain}.zendesk.com"]);
});

test("bad case 8: with a token URL of one's own nothing is sent to the provider's API", async () => {
  await objects.apply(of("forge", { provider: "github", auth: { tokenUrl: "https://forge.internal.example/token" } }));
  await objects.ready("integration/forge");
  const { settings, accepted_origins: origins } = await storedOf("forge");
  expect(settings).not.toHaveProperty("proxy");
  expect(origins).toEqual(["https://forge.internal.example"]);
});

test("a proxy of one's own is called instead of the catalogue's, whose placeholders the config has to fill", async () => {
  await using upstream = await startUpstream();
  const proxy = {
    baseUrl: `${upstream.url}/\${connectionConfig.region}`,
    headers: { "x-key": "${credentials.apiKey}" },
  };
  const token = canary("helpdesk");
  await objects.apply(
    of("helpdesk", { provider: "freshdesk", proxy }),
    ...connectionOf("helpdesk", token, { config: { region: "eu" } }),
  );
  await objects.ready("integration/helpdesk", "connection/helpdesk");
  const { nango } = await applicationOf(installation, keystead, "shop");
  const call = { endpoint: "/tickets", providerConfigKey: "helpdesk", connectionId: "helpdesk" };
  expect((await nango.get(call)).status).toBe(200);
  expect(upstream.calls[0]).toMatchObject({ url: "/eu/tickets", headers: { "x-key": token } });

  await objects.apply(of("stripped", { provider: "freshdesk" }), ...connectionOf("stripped"));
  await objects.ready("integration/stripped", "connection/stripped");
  const stripped = { endpoint: "/tickets", providerConfigKey: "stripped", connectionId: "stripped" };
  await expect(nango.get(stripped)).rejects.toMatchObject({
    response: {
      data: { error: { code: "proxy_template_unresolved", message: expect.stringContaining("config.subdomain") } },
    },
  });
});

test("a provider that nobody knows stalls its Integration by name, and an edit mends it", async () => {
  const apiKey = canary("typo");
  await objects.apply(of("typo", { provider: "stripe-apikey" }), ...connectionOf("typo", apiKey));
  await eventually(async () => {
    expect(conditionsOf(await objects.get("integration/typo"))).toEqual([
      "Ready=False ProviderUnknown",
      "Stalled=True ProviderUnknown",
    ]);
    expect(conditionsOf(await objects.get("connection/typo"))).toContain("Reconciling=True IntegrationNotReady");
  });
  expect(conditionOf(await objects.get("integration/typo"), "Stalled")?.message).toContain('"stripe-apikey"');
  await objects.apply(of("typo", { provider: "stripe-api-key" }));
  await objects.ready("integration/typo", "connection/typo");

  // What is stored by then is served through the same mistake.
  await objects.apply(of("typo", { provider: "stripe-apikey" }), secret("typo", { token: canary("later") }));
  await eventually(async () => {
    expect(conditionsOf(await objects.get("integration/typo"))).toContain("Stalled=True ProviderUnknown");
    expect(conditionsOf(await objects.get("connection/typo"))).toEqual([
      "Ready=True Succeeded",
      "Reconciling=True IntegrationNotReady",
    ]);
  });
  const { nango } = await applicationOf(installation, keystead, "shop");
  expect(await nango.getToken("typo", "typo")).toMatchObject({ apiKey });
});

test("a name of one's own needs no catalogue as long as the mode is said", async () => {
  await objects.apply(of("inhouse", { provider: "inhouse", auth: { mode: "API_KEY" } }), ...connectionOf("inhouse"));
  await objects.ready("integration/inhouse", "connection/inhouse");
  expect((await storedOf("inhouse")).settings).toEqual({ auth: { mode: "API_KEY" }, scopes: [] });
});
