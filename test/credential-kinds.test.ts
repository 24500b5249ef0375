import { afterAll, beforeAll, expect, test } from "vitest";
import { type Application, applicationOf } from "./support/application.ts";
import { createInstallation } from "./support/keystead.ts";
import { canary } from "./support/leaks.ts";
import { connection, environment, integration, secret } from "./support/resources.ts";

// What an application gets for each way to declare a credential, asked with the contract's own client.

const installation = await createInstallation("kinds");
const { objects } = installation;
const keystead = installation.start("run");
let application: Application;

afterAll(() => installation[Symbol.asyncDispose]());

const apiKey = canary("api-key");
const password = canary("password");
const userName = canary("user-name");
const accessToken = canary("access-token");
const refreshToken = canary("refresh-token");
const clientSecret = canary("client-secret");
const privateKey = canary("private-key");
const custom = { tenant: canary("tenant"), "signing.key": canary("signing-key"), type: canary("type") };
const expiresAt = "2026-12-01T00:00:00Z";

/** Mode of the Integration, `spec.credentials`, and what is served. All values come from the Secret `values`. */
const KINDS = [
  {
    name: "api-key",
    kind: "apiKey",
    mode: "API_KEY",
    declared: { apiKey: { apiKeyRef: from("api-key") } },
    served: { type: "API_KEY", apiKey },
  },
  {
    name: "basic",
    kind: "basic with a user name written out",
    mode: "BASIC",
    declared: { basic: { username: "acme", passwordRef: from("password") } },
    served: { type: "BASIC", username: "acme", password },
  },
  {
    name: "basic-ref",
    kind: "basic with a user name from a Secret",
    mode: "BASIC",
    declared: { basic: { usernameRef: from("user-name"), passwordRef: from("password") } },
    served: { type: "BASIC", username: userName, password },
  },
  {
    name: "basic-empty",
    kind: "basic with an empty user name",
    mode: "BASIC",
    declared: { basic: { username: "", passwordRef: from("password") } },
    served: { type: "BASIC", username: "", password },
  },
  {
    name: "oauth2",
    kind: "oauth2 with a token that exists",
    mode: "OAUTH2",
    declared: {
      oauth2: { accessTokenRef: from("access-token"), refreshTokenRef: from("refresh-token"), expiresAt },
    },
    // The refresh token is only for those who ask for it.
    served: {
      type: "OAUTH2",
      access_token: accessToken,
      expires_at: expiresAt,
      raw: { access_token: accessToken, expires_at: expiresAt },
    },
  },
  {
    name: "oauth2-access",
    kind: "oauth2 with an access token alone",
    mode: "OAUTH2",
    declared: { oauth2: { accessTokenRef: from("access-token") } },
    served: { type: "OAUTH2", access_token: accessToken, raw: { access_token: accessToken } },
  },
  {
    name: "client-credentials",
    kind: "oauth2ClientCredentials",
    mode: "OAUTH2_CC",
    declared: { oauth2ClientCredentials: { clientId: "acme", clientSecretRef: from("client-secret") } },
    served: { type: "OAUTH2_CC", client_id: "acme", client_secret: clientSecret },
  },
  {
    name: "app",
    kind: "app",
    mode: "APP",
    declared: { app: { installationId: "0123456" } },
    served: { type: "APP", app_id: "007", installation_id: "0123456" },
  },
  {
    name: "jwt",
    kind: "jwt",
    mode: "JWT",
    declared: { jwt: { privateKeyRef: from("private-key"), keyId: "k1", claims: { iss: "acme", deep: [{ a: 1 }] } } },
    served: { type: "JWT", private_key: privateKey, key_id: "k1", claims: { iss: "acme", deep: [{ a: 1 }] } },
  },
  {
    name: "custom",
    kind: "custom, of which a key cannot replace the type",
    mode: "CUSTOM",
    declared: { custom: { secretRef: { name: "custom" } } },
    served: { ...custom, type: "CUSTOM" },
  },
];

/** Name of the Integration of a mode. */
function integrationOf(mode: string): string {
  return mode.toLowerCase().replace("_", "-");
}

function from(key: string): { name: string; key: string } {
  return { name: "values", key };
}

beforeAll(async () => {
  const modes = new Set(KINDS.map(({ mode }) => mode));
  await objects.apply(
    secret("values", {
      "api-key": apiKey,
      password,
      "user-name": userName,
      "access-token": accessToken,
      "refresh-token": refreshToken,
      "client-secret": clientSecret,
      "private-key": privateKey,
    }),
    secret("custom", custom),
    environment("production", {
      variables: [
        { name: "REGION", value: "eu" },
        { name: "EMPTY", value: "" },
        { name: "WEBHOOK_SECRET", valueFrom: { secretKeyRef: from("client-secret") } },
      ],
    }),
    ...[...modes].map((mode) =>
      integration(integrationOf(mode), "production", {
        auth: { mode },
        ...(mode === "APP" && { appId: "007", privateKeyRef: from("private-key") }),
        ...(mode === "OAUTH2" && {
          provider: "github",
          clientIdRef: from("user-name"),
          clientSecretRef: from("client-secret"),
          scopes: ["repo", "read:user"],
        }),
      }),
    ),
    ...KINDS.map(({ name, mode, declared }) =>
      connection(name, { environment: "production", integration: integrationOf(mode) }, { credentials: declared }),
    ),
  );
  await objects.ready("environment/production", ...KINDS.map(({ name }) => `connection/${name}` as const));
  application = await applicationOf(installation, keystead, "production");
});

test.each(KINDS)("$kind is served as it was given", async ({ name, mode, served }) => {
  const { credentials } = await application.nango.getConnection(integrationOf(mode), name);

  expect(credentials).toEqual(served);
});

test("the status tells type and end of a credential, and nothing of its content", async () => {
  const { status } = await objects.get("connection/oauth2");

  expect(status?.["credentials"]).toEqual({ type: "OAUTH2", expiresAt });
});

test("a refresh token is given to whoever asks for it", async () => {
  const { credentials } = await application.nango.getConnection("oauth2", "oauth2", false, true);

  expect(credentials).toMatchObject({ refresh_token: refreshToken, raw: { refresh_token: refreshToken } });
});

test("the client of an Integration is served only where it is asked for", async () => {
  const plain = await application.nango.getIntegration({ uniqueKey: "oauth2" });
  const withClient = await application.nango.getIntegration({ uniqueKey: "oauth2" }, { include: ["credentials"] });

  expect(JSON.stringify(plain)).not.toContain(clientSecret);
  expect(withClient.data).toMatchObject({
    unique_key: "oauth2",
    provider: "github",
    credentials: { type: "OAUTH2", client_id: userName, client_secret: clientSecret, scopes: "repo,read:user" },
  });
});

test("the private key of an app belongs to its Integration", async () => {
  const { data } = await application.nango.getIntegration({ uniqueKey: "app" }, { include: ["credentials"] });

  expect(data.credentials).toMatchObject({ type: "APP", app_id: "007", private_key: privateKey });
});

test("variables of an Environment are served, written out ones and those of Secrets", async () => {
  expect(await application.nango.getEnvironmentVariables()).toEqual([
    { name: "REGION", value: "eu" },
    { name: "EMPTY", value: "" },
    { name: "WEBHOOK_SECRET", value: clientSecret },
  ]);
});

test("config, metadata, tags and end user of a Connection are served, and an edit of each replaces it", async () => {
  const parents = { environment: "production", integration: "api-key" };
  const credentials = { apiKey: { apiKeyRef: from("api-key") } };
  const declare = (subdomain: string, spec: object = {}) =>
    objects.apply(
      connection("described", parents, { connectionId: "ACME 7", credentials, config: { subdomain }, ...spec }),
    );

  await declare("acme", {
    metadata: { plan: "pro", seats: 3 },
    tags: { team: "sales" },
    endUser: { id: "42", email: "someone@acme.example", organization: { id: "acme" } },
  });
  await objects.ready("connection/described");
  expect(await application.nango.getConnection("api-key", "ACME 7")).toMatchObject({
    connection_config: { subdomain: "acme" },
    metadata: { plan: "pro", seats: 3 },
    tags: { team: "sales" },
    end_user: { id: "42", email: "someone@acme.example", organization: { id: "acme" } },
  });

  await declare("acme-emea", { tags: { team: "support" } });
  await objects.ready("connection/described");
  expect(await application.nango.getConnection("api-key", "ACME 7")).toMatchObject({
    connection_config: { subdomain: "acme-emea" },
    // Nobody declares it any more, so it belongs to the API and stays.
    metadata: { plan: "pro", seats: 3 },
    tags: { team: "support" },
    end_user: null,
    credentials: { apiKey },
  });
});

test("a Connection without credentials is stored and waits for a person", async () => {
  const parents = { environment: "production", integration: "oauth2" };
  await objects.apply(connection("unauthorized", parents, { credentials: undefined }));

  await objects.reach(
    "connection/unauthorized",
    "Ready=False AuthorizationRequired",
    "Stalled=True AuthorizationRequired",
  );
  expect(await application.credentials("unauthorized", "oauth2")).toEqual({});
});
