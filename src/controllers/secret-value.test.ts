import { expect, test } from "vitest";
import { createSecretTaker, MAX_SECRET_VALUE_BYTES, refuseForbiddenType, type SecretObject } from "./secret-value.ts";

function secretOf(data: Record<string, Buffer | string>, type = "Opaque"): SecretObject {
  const encoded = Object.entries(data).map(([key, value]) => [key, Buffer.from(value).toString("base64")]);
  return { metadata: { name: "acme", uid: "u", resourceVersion: "1" }, type, data: Object.fromEntries(encoded) };
}

function takerOf(data: Record<string, Buffer | string>) {
  return createSecretTaker(new Map([["acme", secretOf(data)]]));
}

test.each(["plain", " kept \n", "ünïcödé \u{1F511}", "\uFEFFwith a byte order mark", "a\u0000b"])(
  "the value %j is taken as it is",
  (value) => {
    const take = takerOf({ key: value });
    expect(take.value({ name: "acme", key: "key" })).toBe(value);
    expect(take.problem).toBeUndefined();
  },
);

test.each([
  { what: "a missing key", data: {}, outcome: { kind: "waiting", reason: "SecretNotFound" }, says: "has no key key" },
  {
    what: "an empty value",
    data: { key: "" },
    outcome: { kind: "stalled", reason: "InvalidSecretValue" },
    says: "is empty",
  },
  {
    what: "bytes that are no UTF-8",
    data: { key: Buffer.from([0x61, 0xc3]) },
    outcome: { kind: "stalled", reason: "InvalidSecretValue" },
    says: "is not UTF-8",
  },
  {
    what: "a surrogate, which UTF-8 does not have",
    data: { key: Buffer.from([0xed, 0xa0, 0x80]) },
    outcome: { kind: "stalled", reason: "InvalidSecretValue" },
    says: "is not UTF-8",
  },
  {
    what: "a byte more than the limit",
    data: { key: Buffer.alloc(MAX_SECRET_VALUE_BYTES + 1, "x") },
    outcome: { kind: "stalled", reason: "InvalidSecretValue" },
    says: "holds 65537 bytes",
  },
])("$what is a problem that names Secret and key", ({ data, outcome, says }) => {
  const take = takerOf(data);
  expect(take.value({ name: "acme", key: "key" }), "nothing that could be stored").toBe("");
  expect(take.problem).toMatchObject(outcome);
  expect(take.problem && "message" in take.problem && take.problem.message).toContain("Secret acme");
  expect(take.problem && "message" in take.problem && take.problem.message).toContain(says);
});

test("exactly the limit is allowed", () => {
  const take = takerOf({ key: Buffer.alloc(MAX_SECRET_VALUE_BYTES, "x") });
  expect(take.value({ name: "acme", key: "key" })).toHaveLength(MAX_SECRET_VALUE_BYTES);
});

test("the first problem is the one that is told", () => {
  const take = takerOf({ empty: "" });
  take.value({ name: "acme", key: "empty" });
  take.value({ name: "acme", key: "missing" });
  expect(take.problem).toMatchObject({ reason: "InvalidSecretValue" });
});

test("a key named like a member of every object is missing like any other", () => {
  const take = takerOf({ key: "value" });
  for (const key of ["constructor", "__proto__", "toString"]) take.value({ name: "acme", key });
  expect(take.problem).toMatchObject({ reason: "SecretNotFound" });
});

test("all keys of a Secret come in their order, and one that is wrong spoils the whole", () => {
  expect([...takerOf({ b: "2", a: "1" }).all("acme")]).toEqual([
    ["a", "1"],
    ["b", "2"],
  ]);
  const take = takerOf({ a: "1", b: "" });
  take.all("acme");
  expect(take.problem).toMatchObject({ reason: "InvalidSecretValue" });
});

test("a Secret without keys has to be filled first", () => {
  const take = takerOf({});
  take.all("acme");
  expect(take.problem).toMatchObject({ kind: "waiting", reason: "SecretNotFound" });
});

test("the three types that give power over the cluster are refused, and no other", () => {
  const forbidden = ["kubernetes.io/service-account-token", "bootstrap.kubernetes.io/token", "helm.sh/release.v1"];
  for (const type of forbidden) expect(refuseForbiddenType(secretOf({}, type))).toMatchObject({ kind: "stalled" });
  for (const type of ["Opaque", "kubernetes.io/tls", "kubernetes.io/basic-auth", "Helm.sh/release.v1"]) {
    expect(refuseForbiddenType(secretOf({}, type)), type).toBeUndefined();
  }
});
