import { z } from "zod";
import { freeForm, line, objectName, secretKeyRef } from "./field.ts";
import { matches, oneOf, withRules } from "./rule.ts";

/**
 * RFC 3339 with an offset, the days of each month included. Not `format: date-time`: that takes an offset of 25 hours
 * and would turn the text into a timestamp in CEL.
 */
const expiry = withRules(
  z.string().max(40),
  matches(z.regexes.datetime({ offset: true }), "must be a date and time with offset, such as 2026-12-01T00:00:00Z"),
);

const clientId = line(1_024).describe(
  "The client id, written out. Use clientIdRef instead if it is not to be read here.",
);

const apiKey = z
  .object({ apiKeyRef: secretKeyRef("Where the API key is.") })
  .describe("An API key, such as {apiKeyRef: {name: acme, key: token}}. Served as {type: API_KEY, apiKey}.");

/** The user name may be empty, as in Nango: some APIs only look at the password. */
const basic = withRules(
  z.object({
    username: line(1_024, 0)
      .optional()
      .describe("The user name, written out. Exactly one of username and usernameRef."),
    usernameRef: secretKeyRef("Where the user name is, if it is not to be read here.").optional(),
    // Required, although some APIs take a key for a user name and no password: leaving it out would look like a slip of
    // the pen far more often. Such an API is one of apiKey.
    passwordRef: secretKeyRef("Where the password is."),
  }),
  oneOf("exactly", ["username", "usernameRef"]),
).describe(
  "User name and password, such as {username: acme, passwordRef: {name: acme, key: password}}. Served as {type: BASIC, username, password}.",
);

const oauth2 = z
  .object({
    accessTokenRef: secretKeyRef("Where the access token is."),
    refreshTokenRef: secretKeyRef(
      "Where the refresh token is. Applications get it only if they ask for it with refresh_token=true.",
    ).optional(),
    expiresAt: expiry
      .optional()
      .describe("When the access token ends, such as 2026-12-01T00:00:00Z. Left out: it does not end."),
  })
  .describe(
    "An OAuth 2 token that exists already, such as {accessTokenRef: {name: acme, key: access}}. Served as {type: OAUTH2, access_token, expires_at, raw}. It is a seed: it is stored again only when it changes in the Secret.",
  );

const oauth2ClientCredentials = withRules(
  z.object({
    clientId: clientId.optional(),
    clientIdRef: secretKeyRef("Where the client id is. Exactly one of clientId and clientIdRef.").optional(),
    clientSecretRef: secretKeyRef("Where the client secret is."),
  }),
  oneOf("exactly", ["clientId", "clientIdRef"]),
).describe(
  "A client of its own for the client credentials grant, such as {clientId: acme, clientSecretRef: {name: acme, key: secret}}. Served as {type: OAUTH2_CC, client_id, client_secret}.",
);

/** Ids of installations are numbers at GitHub and letters elsewhere; text never loses a digit on its way through JSON. */
const app = z
  .object({
    installationId: withRules(
      z.string().max(128),
      matches(/^[A-Za-z0-9._-]+$/, "must be letters, digits, '.', '_' and '-'"),
    ).describe('Id of the installation, quoted if it is a number: "123456".'),
  })
  .describe(
    'An installation of a GitHub-style app, such as {installationId: "123456"}. Served as {type: APP}. App id and private key are those of the Integration.',
  );

const jwt = z
  .object({
    privateKeyRef: secretKeyRef("Where the private key is, in PEM."),
    keyId: line(256).optional().describe("Key id for the header of the token (kid)."),
    claims: freeForm("Claims of the token, such as {iss: acme}.").optional(),
  })
  .describe(
    "A private key that signs tokens, such as {privateKeyRef: {name: acme, key: pem}, keyId: k1, claims: {iss: acme}}. Served as {type: JWT}.",
  );

/** The one reference without a key: whoever may write the Secret decides which fields the credential has. */
const custom = z
  .object({
    secretRef: z
      .object({ name: objectName.describe("Name of the Secret, which has to be in the same namespace.") })
      .meta({
        description: "The Secret. Every key of it becomes a field of the credential.",
        "x-kubernetes-map-type": "atomic",
      }),
  })
  .describe(
    "Fields of any name: every key of the Secret {secretRef: {name: acme}}. Served as they are, beside {type: CUSTOM}.",
  );

/**
 * The seven ways to give a credential, of which a Connection has at most one. Properties and a counting rule instead of a `type` field:
 * `kubectl explain` then shows for each way just the fields that belong to it.
 */
export const credentials = withRules(
  z.object({
    apiKey: apiKey.optional(),
    basic: basic.optional(),
    oauth2: oauth2.optional(),
    oauth2ClientCredentials: oauth2ClientCredentials.optional(),
    app: app.optional(),
    jwt: jwt.optional(),
    custom: custom.optional(),
  }),
  oneOf("exactly", ["apiKey", "basic", "oauth2", "oauth2ClientCredentials", "app", "jwt", "custom"]),
);

/** `spec.credentials` of a Connection as written. */
export type Credentials = z.output<typeof credentials>;

/** The same as a discriminated union, for an exhaustive `switch`. */
export type Credential = {
  [Kind in keyof Credentials]-?: { readonly kind: Kind; readonly from: NonNullable<Credentials[Kind]> };
}[keyof Credentials];

/** What each way is called where credentials are stored and served: Nango's names. */
export const CREDENTIALS_TYPE = {
  apiKey: "API_KEY",
  basic: "BASIC",
  oauth2: "OAUTH2",
  oauth2ClientCredentials: "OAUTH2_CC",
  app: "APP",
  jwt: "JWT",
  custom: "CUSTOM",
} as const satisfies Record<Credential["kind"], string>;

/** The one way that is given, or undefined for a Connection that waits for a person to authorize it. */
export function credentialOf(given: Credentials | undefined): Credential | undefined {
  if (given === undefined) return undefined;
  if (given.apiKey) return { kind: "apiKey", from: given.apiKey };
  if (given.basic) return { kind: "basic", from: given.basic };
  if (given.oauth2) return { kind: "oauth2", from: given.oauth2 };
  if (given.oauth2ClientCredentials) return { kind: "oauth2ClientCredentials", from: given.oauth2ClientCredentials };
  if (given.app) return { kind: "app", from: given.app };
  if (given.jwt) return { kind: "jwt", from: given.jwt };
  if (given.custom) return { kind: "custom", from: given.custom };
  return undefined;
}
