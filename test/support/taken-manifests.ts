import type { ConnectionCredentials } from "../../src/resources/connection.ts";
import { REF, type Spec, type Taken } from "./manifest-case.ts";

const PLACEHOLDER = "${config.account}";
const CREDENTIAL = "${credentials.raw.access_token}";

const variables = (list: readonly unknown[]): Spec => ({ variables: list });
const auth = (change: Spec): Spec => ({ auth: { mode: "OAUTH2", ...change } });

/** Every way to give a credential, in the shape in which the documentation shows it. */
const EVERY_CREDENTIAL: Readonly<Record<string, ConnectionCredentials>> = {
  apiKey: { apiKey: { apiKeyRef: REF } },
  basic: { basic: { username: "acme", passwordRef: REF } },
  "basic with a referenced user name": { basic: { usernameRef: REF, passwordRef: REF } },
  "basic with an empty user name": { basic: { username: "", passwordRef: REF } },
  oauth2: { oauth2: { accessTokenRef: REF, refreshTokenRef: REF, expiresAt: "2026-12-01T00:00:00Z" } },
  "oauth2 without an end": { oauth2: { accessTokenRef: REF } },
  "oauth2 with an offset": { oauth2: { accessTokenRef: REF, expiresAt: "2028-02-29T23:59:59.123+02:00" } },
  oauth2ClientCredentials: { oauth2ClientCredentials: { clientId: "acme", clientSecretRef: REF } },
  "oauth2ClientCredentials with a referenced id": {
    oauth2ClientCredentials: { clientIdRef: REF, clientSecretRef: REF },
  },
  app: { app: { installationId: "123456" } },
  jwt: { jwt: { privateKeyRef: REF, keyId: "k1", claims: { iss: "acme", nested: { list: [1, "two", null] } } } },
  custom: { custom: { secretRef: { name: "acme" } } },
};

/** Manifests that have to be taken, each for what is unusual in it. */
export const TAKEN: readonly Taken[] = [
  { kind: "Environment", why: "nothing but a name", change: {} },
  ...["1h", "31d", "1d12h", "1h30m", "1.5h", "60m", "3600s", "3600000ms", "3660d", "87840h", "31d0h"].map(
    (retention): Taken => ({ kind: "Environment", why: `retention ${retention}`, change: { retention } }),
  ),
  ...(["Environment", "Integration", "Connection"] as const).map((kind): Taken => ({
    kind,
    why: "a restore by the id that a status or an event shows",
    change: { restoreFrom: "01930000-0000-7000-8000-000000000000" },
  })),
  {
    kind: "Environment",
    why: "limits, with blocks of both families, one of which is everything and one a single address",
    change: { requestsPerMinute: 0, allowedCIDRs: ["10.1.2.3/8", "192.0.2.7/32", "2001:DB8::/32", "::/0"] },
  },
  {
    kind: "Environment",
    why: "an environment to take over",
    change: { adopt: { environmentId: "01930000-0000-7000-8000-000000000000", secretKeyRef: REF } },
  },
  {
    kind: "Environment",
    why: "variables of both kinds, one empty, one over several lines and outside ASCII",
    change: variables([
      { name: "REGION", value: "eu" },
      { name: "EMPTY", value: "" },
      { name: "_motd.v2-x", value: "gr\u00fc\u00dfe\n\t\u{1f511}" },
      { name: "WEBHOOK_SECRET", valueFrom: { secretKeyRef: REF } },
    ]),
  },
  ...[
    "https://github.example/login/oauth/access_token?x=1&y=%20",
    "https://github.example:8443",
    "https://[2001:db8::1]:8443/token",
    "http://localhost:8080/token",
    "http://127.0.0.1:8080/token",
    "http://[::1]:8080/token",
    "http://oauth.tools.svc/token",
    "http://oauth.tools.svc.cluster.local:8080/token",
  ].map((tokenUrl): Taken => ({ kind: "Integration", why: tokenUrl, change: auth({ tokenUrl }) })),
  ...["OAUTH2", "OAUTH2_CC", "OAUTH1", "API_KEY", "BASIC", "APP", "JWT", "CUSTOM", "NONE"].map((mode): Taken => ({
    kind: "Integration",
    why: `mode ${mode}`,
    change: { auth: { mode } },
  })),
  ...[undefined, {}, { pkce: false }].map((given): Taken => ({
    kind: "Integration",
    why: `a provider, and auth ${given ? JSON.stringify(given) : "left out"}`,
    change: { provider: "github", auth: given },
  })),
  {
    kind: "Integration",
    why: "every field",
    change: {
      provider: "github",
      auth: {
        mode: "OAUTH2",
        authorizationUrl: "https://github.example/authorize",
        tokenUrl: "https://github.example/token",
        scopeSeparator: " ",
        pkce: true,
        authorizationParams: { prompt: "consent", empty: "" },
        tokenParams: { audience: "api" },
        clientAuthentication: "private_key_jwt",
        expiryBuffer: "15m",
      },
      clientIdRef: REF,
      clientSecretRef: REF,
      scopes: ["repo", "read:user"],
      appId: "1234",
      privateKeyRef: REF,
      allowedConnections: {
        matchLabels: { team: "sales", "example.com/tier": "" },
        matchExpressions: [
          { key: "region", operator: "In", values: ["eu", "us"] },
          { key: "legacy", operator: "DoesNotExist" },
        ],
      },
      proxy: {
        baseUrl: `https://eu-${PLACEHOLDER}.github.example:8443/api/${PLACEHOLDER}/v3`,
        headers: { Authorization: `token ${CREDENTIAL}`, "x-api_version": "2026-11-24" },
        query: { "filter[account]": PLACEHOLDER },
        allowedBaseUrls: ["https://uploads.github.example", "http://[::1]:8080"],
      },
      suspend: false,
    },
  },
  ...[
    { baseUrl: "https://api.github.example" },
    { baseUrl: "http://api.shop.svc:8080/", basicAuth: { username: CREDENTIAL } },
    {
      baseUrl: `https://${PLACEHOLDER}.github.example`,
      basicAuth: { username: "x", password: CREDENTIAL },
      headers: {},
    },
    { baseUrl: `https://api.github.example/bot${CREDENTIAL}`, query: { key: "" } },
  ].map((proxy): Taken => ({ kind: "Integration", why: `proxy ${JSON.stringify(proxy)}`, change: { proxy } })),
  ...Object.entries(EVERY_CREDENTIAL).map(([why, value]): Taken => ({
    kind: "Connection",
    why: `credentials.${why}`,
    change: { credentials: value },
  })),
  { kind: "Connection", why: "no credentials: a person will authorize it", change: { credentials: undefined } },
  {
    kind: "Connection",
    why: "a connection id of every character that Nango allows",
    change: { connectionId: "Az09,.;:=+~[]|@${}\"'\\/_ -" },
  },
  {
    kind: "Connection",
    why: "everything an application may want to keep beside it",
    change: {
      config: { subdomain: "acme", nested: { list: [1, 2.5, true, null] } },
      metadata: { plan: "pro", "any key": "\u{1f511}" },
      tags: { team: "sales", "example.com/tier": "1" },
      endUser: {
        id: "42",
        email: "someone@acme.example",
        displayName: "Acm\u00e9",
        organization: { id: "acme", displayName: "Acme Inc" },
      },
      suspend: true,
    },
  },
];
