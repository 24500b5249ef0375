import { SCOPES } from "../../src/scopes.ts";
import type { KindName } from "./manifest-case.ts";

/** Every text at its full length, every list and map with all its entries: what the limits of the schema add up to. */

const name = "n".repeat(253);
const ref = { name, key: "k".repeat(253) };

function list<T>(length: number, entry: (index: number) => T): T[] {
  return Array.from({ length }, (_, index) => entry(index));
}

/** Map of `size` entries whose keys are `length` characters long and all different. */
function map(size: number, length: number, value: string): Record<string, string> {
  return Object.fromEntries(list(size, (index) => [`k${index}`.padEnd(length, "k"), value]));
}

/** A free-form object just under 64 KiB. */
const freeForm = { text: "x".repeat(65_000), nested: { list: [1, { deep: true }] } };

const label = "v".repeat(63);
const labelKey = (index: number) => `${`p${index}`.padEnd(253, "p")}/${"n".repeat(63)}`;

const permissions = {
  scopes: SCOPES.flatMap((scope) => [scope, `environment:${scope}`]),
  connectionSelector: map(4, 64, "\u00fc".repeat(255)),
};

export const LARGEST: Readonly<Record<KindName, unknown>> = {
  Environment: {
    secretName: name,
    retention: "3659d23h59m59.999s",
    apiKeys: list(32, (index) => ({
      name: `n${index}`.padEnd(40, "n"),
      ...permissions,
      expiresAfter: "3659d23h59m59.999s",
      secretName: `s${index}`.padEnd(253, "s"),
    })),
    serviceAccounts: list(32, (index) => ({ name: `n${index}`.padEnd(253, "n"), ...permissions })),
    requestsPerMinute: 1_000_000,
    allowedCIDRs: list(64, (index) => `2001:db8:1111:2222:3333:4444:5555:${1_000 + index}/128`),
    variables: list(128, (index) => ({ name: `V${index}`.padEnd(256, "V"), value: "\u00fc".repeat(4_096) })),
    suspend: false,
  },
  Integration: {
    environmentRef: { name },
    provider: "p".repeat(255),
    auth: {
      mode: "OAUTH2_CC",
      authorizationUrl: `https://github.example/${"a".repeat(2_000)}`,
      tokenUrl: `https://github.example/${"a".repeat(2_000)}`,
      scopeSeparator: "s".repeat(8),
      pkce: true,
      authorizationParams: map(32, 128, "\u00fc".repeat(2_048)),
      tokenParams: map(32, 128, "\u00fc".repeat(2_048)),
      clientAuthentication: "client_secret_basic",
      expiryBuffer: "23h59m59.999s",
    },
    clientId: "\u00fc".repeat(1_024),
    clientSecretRef: ref,
    scopes: list(128, (index) => `s${index}`.padEnd(512, "\u00fc")),
    appId: "a".repeat(128),
    privateKeyRef: ref,
    proxy: {
      baseUrl: `https://github.example/${"a".repeat(1_000)}`,
      headers: map(16, 64, "x".repeat(1_024)),
      query: map(16, 64, "x".repeat(1_024)),
      basicAuth: { username: "x".repeat(1_024), password: "x".repeat(1_024) },
      allowedBaseUrls: list(16, (index) => `https://${`h${index}`.padEnd(300, "h")}.example`),
    },
    allowedConnections: {
      matchLabels: Object.fromEntries(list(32, (index) => [labelKey(index), label])),
      matchExpressions: list(32, (index) => ({ key: labelKey(index), operator: "In", values: list(32, () => label) })),
    },
  },
  Connection: {
    environmentRef: { name },
    integrationRef: { name },
    connectionId: "c".repeat(255),
    credentials: { jwt: { privateKeyRef: ref, keyId: "k".repeat(256), claims: freeForm } },
    config: freeForm,
    metadata: freeForm,
    tags: map(64, 64, "\u00fc".repeat(255)),
    endUser: {
      id: "\u00fc".repeat(255),
      email: `${"e".repeat(300)}@acme.example`,
      displayName: "\u00fc".repeat(255),
      organization: { id: "\u00fc".repeat(255), displayName: "\u00fc".repeat(255) },
    },
  },
};
