import { REF, type Refused, type Spec, escapes } from "./manifest-case.ts";

const DURATION = "must be a duration from 1h to 3660d";
const durations: readonly Refused[] = (
  [
    ["1ns", "far below the least, and finer than anything here works"],
    ["99999999h", "would overflow Go's durations"],
    ["1h1", "a number without a unit"],
    ["-1h", "a sign"],
    ["", "empty"],
    ["31", "no unit"],
    ["31D", "an upper-case unit"],
    ["1.5d", "a fraction of a day"],
    ["12h1d", "days after hours"],
    [" 31d", "a blank"],
    ["59m59.999s", "a millisecond under the least"],
    ["3660d1ms", "a millisecond over the most"],
    ["\u0663\u0661d", "digits of another script"],
    ["P31D", "an ISO 8601 duration"],
    ["1h1h1h1h1h1h1h1h1h1h1h1h1h1h1h1h1h1h", "longer than any duration has to be"],
  ] as const
).map(([retention, why]) => ({
  kind: "Environment",
  why: `retention ${JSON.stringify(retention)}: ${why}`,
  change: { retention },
  field: "spec.retention",
  says: retention.length > 32 ? "32" : DURATION,
  bad: 32,
}));

const variables = (list: readonly unknown[]): Spec => ({ variables: list });
const ADOPTION = { adopt: { environmentId: "01930000-0000-7000-8000-000000000000", secretKeyRef: REF } };

/** The same rule holds for all three kinds. */
const restores = (["Environment", "Integration", "Connection"] as const).flatMap((kind) =>
  (
    [
      ["", "empty"],
      ["01930000-0000-7000-8000-00000000000G", "a letter that is no digit"],
      ["01930000-0000-7000-8000-0000000000AB", "upper case, which no status shows"],
      ["01930000000070008000000000000000", "without dashes"],
      ["production", "a name"],
    ] as const
  ).map(([restoreFrom, why]) => ({
    kind,
    why: `restoreFrom ${JSON.stringify(restoreFrom)}: ${why}`,
    change: { restoreFrom },
    field: "spec.restoreFrom",
    says: "a UUID in lower case",
  })),
);

const rotations: readonly Refused[] = (
  [
    [{ interval: "90d" }, "an interval without a grace period", "must be at least 10m where interval is set"],
    [{ interval: "90d", gracePeriod: "0s" }, "an interval with none", "must be at least 10m where interval is set"],
    [{ interval: "90d", gracePeriod: "9m59s" }, "a second too little", "must be at least 10m where interval is set"],
    [
      { interval: "1h", gracePeriod: "31m" },
      "a grace period that outlives the key",
      "must be at most half of interval",
    ],
    [{ interval: "4d", gracePeriod: "2d1ms" }, "a millisecond too much", "must be at most half of interval"],
    [{ gracePeriod: "soon" }, "no duration", "must be a duration from 0s to 366d"],
    [{ interval: "59m", gracePeriod: "10m" }, "an interval under the least", "must be a duration from 1h to 3660d"],
  ] as const
).map(([rotation, why, says]) => ({
  kind: "Environment",
  why: `rotation ${JSON.stringify(rotation)}: ${why}`,
  change: { rotation },
  field: says.includes("from 1h") ? "spec.rotation.interval" : "spec.rotation.gracePeriod",
  says,
}));

const KEY = { name: "reporting", scopes: ["connections:list"], secretName: "reporting-key" };
const apiKeys: readonly Refused[] = (
  [
    [[{ ...KEY, name: "main" }], "the name of the Environment's own key", "apiKeys[0].name", "must not be main"],
    [[{ ...KEY, name: "Reporting" }], "an upper-case name", "apiKeys[0].name", "lower-case letters"],
    [[{ ...KEY, name: "k".repeat(41) }], "a name that no annotation can end with", "apiKeys[0].name", "40"],
    [[{ ...KEY, scopes: [] }], "a key that may do nothing", "apiKeys[0].scopes", "1"],
    [[{ ...KEY, scopes: ["proxy:all"] }], "a scope that no route has", "apiKeys[0].scopes[0]", "connections:list"],
    [
      [{ ...KEY, connectionSelector: { Team: "a" } }],
      "a tag with an upper-case key",
      "connectionSelector",
      "lower-case",
    ],
    [[{ ...KEY, expiresAfter: "9m" }], "an end under the least", "apiKeys[0].expiresAfter", "from 10m to 3660d"],
    [[{ ...KEY, secretName: "other/secret" }], "a Secret elsewhere", "apiKeys[0].secretName", "in the same namespace"],
    [[KEY, { ...KEY, secretName: "other" }], "one name twice", "apiKeys", ""],
    [[KEY, { ...KEY, name: "other" }], "two keys for one Secret", "apiKeys", "must have each secretName only once"],
  ] as const
).map(([list, why, field, says]) => ({
  kind: "Environment",
  why: `apiKeys: ${why}`,
  change: { apiKeys: list },
  field: field.startsWith("apiKeys") ? `spec.${field}` : "spec.apiKeys[0].connectionSelector",
  says,
}));

const APP = { name: "app", scopes: ["connections:list"] };
const serviceAccounts: readonly Refused[] = (
  [
    [[{ ...APP, scopes: [] }], "an account that may do nothing", "serviceAccounts[0].scopes", "1"],
    [
      [{ ...APP, scopes: ["proxy:all"] }],
      "a scope that no route has",
      "serviceAccounts[0].scopes[0]",
      "connections:list",
    ],
    [[{ ...APP, name: "shop/app" }], "an account elsewhere", "serviceAccounts[0].name", "in the same namespace"],
    [[{ ...APP, name: "*" }], "all accounts", "serviceAccounts[0].name", "in the same namespace"],
    [[APP, APP], "one account twice", "serviceAccounts", ""],
  ] as const
).map(([list, why, field, says]) => ({
  kind: "Environment",
  why: `serviceAccounts: ${why}`,
  change: { serviceAccounts: list },
  field: `spec.${field}`,
  says,
}));

const BLOCK = "must be a block of addresses with its prefix";
const limits: readonly Refused[] = (
  [
    [{ requestsPerMinute: -1 }, "fewer than none", "requestsPerMinute", "0"],
    [{ requestsPerMinute: 1_000_001 }, "more than a process answers", "requestsPerMinute", "1000000"],
    [{ requestsPerMinute: "many" }, "a text", "requestsPerMinute", "integer"],
    [{ allowedCIDRs: [] }, "nowhere, which would be a lock-out by a template that came out empty", "allowedCIDRs", "1"],
    [{ allowedCIDRs: ["10.0.0.1"] }, "an address without a prefix", "allowedCIDRs[0]", BLOCK],
    [{ allowedCIDRs: ["10.0.0.0/33"] }, "a prefix that is too long", "allowedCIDRs[0]", BLOCK],
    [{ allowedCIDRs: ["10.0.0.0/08"] }, "a prefix with a leading zero", "allowedCIDRs[0]", BLOCK],
    [{ allowedCIDRs: ["010.0.0.0/8"] }, "an octal number to some readers", "allowedCIDRs[0]", BLOCK],
    [{ allowedCIDRs: ["::ffff:10.0.0.0/104"] }, "IPv4 in IPv6, which would match nothing", "allowedCIDRs[0]", BLOCK],
    [{ allowedCIDRs: ["fe80::1%eth0/64"] }, "a zone", "allowedCIDRs[0]", BLOCK],
    [{ allowedCIDRs: ["office.example/32"] }, "a name", "allowedCIDRs[0]", BLOCK],
    [{ allowedCIDRs: ["10.0.0.0/8, 192.0.2.0/24"] }, "two in one text", "allowedCIDRs[0]", BLOCK],
  ] as const
).map(([change, why, field, says]) => ({
  kind: "Environment",
  why: `limits: ${why}`,
  change,
  field: `spec.${field}`,
  says,
}));

/** Environments that nobody should be able to store. */
export const REFUSED_ENVIRONMENTS: readonly Refused[] = [
  ...restores,
  ...rotations,
  ...apiKeys,
  ...serviceAccounts,
  ...limits,
  {
    kind: "Environment",
    why: "both a restore and an adoption: which of the two environments would it be?",
    change: { ...ADOPTION, restoreFrom: "01930000-0000-7000-8000-000000000000" },
    field: "spec",
    says: "must have at most one of adopt and restoreFrom",
  },
  {
    kind: "Environment",
    why: "an adoption without a proof",
    change: { adopt: { environmentId: ADOPTION.adopt.environmentId } },
    field: "spec.adopt.secretKeyRef",
    says: "",
  },
  {
    kind: "Environment",
    why: "an adoption by a name",
    change: { adopt: { ...ADOPTION.adopt, environmentId: "production" } },
    field: "spec.adopt.environmentId",
    says: "a UUID in lower case",
  },
  ...escapes("Environment", "spec.adopt.secretKeyRef.name", (name) => ({
    adopt: { ...ADOPTION.adopt, secretKeyRef: { name, key: "key" } },
  })),
  {
    kind: "Environment",
    why: "a retention that is a number in YAML",
    change: { retention: 31 },
    field: "spec.retention",
    says: "string",
    bad: 32,
  },
  ...durations,
  ...escapes("Environment", "spec.secretName", (secretName) => ({ secretName })),
  {
    kind: "Environment",
    why: "a Secret name of 254 characters",
    change: { secretName: "a".repeat(254) },
    field: "spec.secretName",
    says: "253",
  },
  {
    kind: "Environment",
    why: "one variable twice: which of the two would be read?",
    change: variables([
      { name: "REGION", value: "eu" },
      { name: "REGION", value: "us" },
    ]),
    field: "spec.variables",
    says: "",
  },
  {
    kind: "Environment",
    why: "a variable whose name no shell can hold",
    change: variables([{ name: "1ST", value: "x" }]),
    field: "spec.variables[0].name",
    says: "must be the name of a variable",
  },
  {
    kind: "Environment",
    why: "a variable with two values",
    change: variables([{ name: "A", value: "x", valueFrom: { secretKeyRef: REF } }]),
    field: "spec.variables[0]",
    says: "exactly one of value and valueFrom",
  },
  {
    kind: "Environment",
    why: "a variable without a value",
    change: variables([{ name: "A" }]),
    field: "spec.variables[0]",
    says: "exactly one of value and valueFrom",
  },
  {
    kind: "Environment",
    why: "a variable with a NUL, which ends it in every C program",
    change: variables([{ name: "A", value: "x\0y" }]),
    field: "spec.variables[0].value",
    says: "control characters",
  },
  {
    kind: "Environment",
    why: "a variable of 4,097 characters",
    change: variables([{ name: "A", value: "x".repeat(4_097) }]),
    field: "spec.variables[0].value",
    says: "4096",
  },
  {
    kind: "Environment",
    why: "129 variables",
    change: variables(Array.from({ length: 129 }, (_, index) => ({ name: `A${index}`, value: "x" }))),
    field: "spec.variables",
    says: "128",
  },
  {
    kind: "Environment",
    why: "a number as the value of a variable",
    change: variables([{ name: "A", value: 1 }]),
    field: "spec.variables[0].value",
    says: "string",
  },
];
