import { REF, type Refused, type Spec, escapes } from "./manifest-case.ts";

const credentials = (change: Spec): Spec => ({ credentials: change });
const CHOICES = "must have exactly one of apiKey, basic, oauth2, oauth2ClientCredentials, app, jwt and custom";
const credentialCases: readonly Refused[] = [
  {
    kind: "Connection",
    why: "credentials of no kind",
    change: credentials({}),
    field: "spec.credentials",
    says: CHOICES,
  },
  {
    kind: "Connection",
    why: "credentials of two kinds",
    change: credentials({ apiKey: { apiKeyRef: REF }, custom: { secretRef: { name: "acme" } } }),
    field: "spec.credentials",
    says: CHOICES,
  },
  {
    kind: "Connection",
    why: "the secret itself in the manifest",
    change: credentials({ apiKey: { apiKeyRef: REF, apiKey: "not-a-real-api-key" } }),
    field: "spec.credentials.apiKey.apiKey",
    says: "unknown field",
    stored: "pruned",
  },
  {
    kind: "Connection",
    why: "a kind that does not exist",
    change: credentials({ apiKey: { apiKeyRef: REF }, saml: {} }),
    field: "spec.credentials.saml",
    says: "unknown field",
    stored: "pruned",
  },
  {
    kind: "Connection",
    why: "two user names",
    change: credentials({ basic: { username: "a", usernameRef: REF, passwordRef: REF } }),
    field: "spec.credentials.basic",
    says: "exactly one of username and usernameRef",
  },
  {
    kind: "Connection",
    why: "no user name",
    change: credentials({ basic: { passwordRef: REF } }),
    field: "spec.credentials.basic",
    says: "exactly one of username and usernameRef",
  },
  {
    kind: "Connection",
    why: "no password",
    change: credentials({ basic: { username: "a" } }),
    field: "spec.credentials.basic.passwordRef",
    says: "equired",
  },
  {
    kind: "Connection",
    why: "two client ids",
    change: credentials({ oauth2ClientCredentials: { clientId: "a", clientIdRef: REF, clientSecretRef: REF } }),
    field: "spec.credentials.oauth2ClientCredentials",
    says: "exactly one of clientId and clientIdRef",
  },
  ...["tomorrow", "2026-12-01", "2026-12-01T00:00:00", "2026-02-30T00:00:00Z", "2026-12-01T00:00:00+25:00", ""].map(
    (expiresAt) => ({
      kind: "Connection" as const,
      why: `${JSON.stringify(expiresAt)} is no instant`,
      change: credentials({ oauth2: { accessTokenRef: REF, expiresAt } }),
      field: "spec.credentials.oauth2.expiresAt",
      says: "must be a date and time with offset",
    }),
  ),
  {
    kind: "Connection",
    why: "an installation id that is a number in YAML",
    change: credentials({ app: { installationId: 123_456 } }),
    field: "spec.credentials.app.installationId",
    says: "string",
  },
  {
    kind: "Connection",
    why: "claims that are a list",
    change: credentials({ jwt: { privateKeyRef: REF, claims: ["iss"] } }),
    field: "spec.credentials.jwt.claims",
    says: "object",
  },
];

const CHARSET = "must be 1 to 255 of the letters";
const connections: readonly Refused[] = [
  ...escapes("Connection", "spec.environmentRef.name", (name) => ({ environmentRef: { name } })),
  ...escapes("Connection", "spec.integrationRef.name", (name) => ({ integrationRef: { name } })),
  ...(
    [
      ["", CHARSET],
      ["a\nb", CHARSET],
      ["50%", CHARSET],
      ["ac\u00b5e", CHARSET],
      ["<acme>", CHARSET],
      [".", "must be neither . nor .."],
      ["..", "must be neither . nor .."],
      ["a".repeat(256), "255"],
    ] as const
  ).map(([connectionId, says]) => ({
    kind: "Connection" as const,
    why: `connection id ${JSON.stringify(connectionId.slice(0, 16))}`,
    change: { connectionId },
    field: "spec.connectionId",
    says,
  })),
  {
    kind: "Connection",
    why: "a tag that no list by tags would find, as those are looked up in lower case",
    change: { tags: { Team: "sales" } },
    field: "spec.tags",
    says: "lower-case letters",
  },
  {
    kind: "Connection",
    why: "a tag that is a number",
    change: { tags: { seats: 3 } },
    field: "spec.tags.seats",
    says: "string",
  },
  {
    kind: "Connection",
    why: "65 tags",
    change: { tags: Object.fromEntries(Array.from({ length: 65 }, (_, index) => [`t${index}`, "x"])) },
    field: "spec.tags",
    says: "64",
  },
  {
    kind: "Connection",
    why: "an end user without id",
    change: { endUser: {} },
    field: "spec.endUser.id",
    says: "equired",
  },
  {
    kind: "Connection",
    why: "an e-mail address without @",
    change: { endUser: { id: "42", email: "acme" } },
    field: "spec.endUser.email",
    says: "must be an e-mail address",
  },
  {
    kind: "Connection",
    why: "a metadata that is text",
    change: { metadata: "plan=pro" },
    field: "spec.metadata",
    says: "object",
  },
  {
    kind: "Connection",
    why: "a suspend that is text",
    change: { suspend: "yes" },
    field: "spec.suspend",
    says: "boolean",
  },
];

const secretRefs: readonly Refused[] = [
  ...escapes("Connection", "spec.credentials.apiKey.apiKeyRef.name", (name) => ({
    credentials: { apiKey: { apiKeyRef: { name, key: "token" } } },
  })),
  ...escapes("Connection", "spec.credentials.custom.secretRef.name", (name) => ({
    credentials: { custom: { secretRef: { name } } },
  })),
  ...escapes("Integration", "spec.clientSecretRef.name", (name) => ({ clientSecretRef: { name, key: "secret" } })),
  ...["", "..", ".", "..data", "a/b", "a b", "k\u00e9y"].map((key) => ({
    kind: "Connection" as const,
    why: `${JSON.stringify(key)} is no key of a Secret`,
    change: { credentials: { apiKey: { apiKeyRef: { name: "acme", key } } } },
    field: "spec.credentials.apiKey.apiKeyRef.key",
    says: "must be a key of a Secret",
  })),
];

const namespaces: readonly Refused[] = (
  [
    ["Connection", "spec.environmentRef.namespace", { environmentRef: { name: "production", namespace: "other" } }],
    ["Connection", "spec.integrationRef.namespace", { integrationRef: { name: "github", namespace: "other" } }],
    [
      "Connection",
      "spec.credentials.apiKey.apiKeyRef.namespace",
      { credentials: { apiKey: { apiKeyRef: { ...REF, namespace: "other" } } } },
    ],
    ["Integration", "spec.clientSecretRef.namespace", { clientSecretRef: { ...REF, namespace: "other" } }],
  ] as const
).map(([kind, field, change]) => ({
  kind,
  why: `${field} names another namespace`,
  change,
  field,
  says: "unknown field",
  bad: 2,
  stored: "pruned",
}));

/** Connections that nobody should be able to store, and references of any kind that try to leave the namespace. */
export const REFUSED_CONNECTIONS: readonly Refused[] = [
  ...credentialCases,
  ...connections,
  ...secretRefs,
  ...namespaces,
];
