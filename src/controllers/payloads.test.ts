import { expect, test } from "vitest";
import type { ObjectKey } from "../kube/object.ts";
import { createPayloads } from "./payloads.ts";
import type { SecretObject } from "./secret-value.ts";

const MIB = 1_048_576;

/** A Secret with so many bytes of base64 in each of its keys. */
function secretOf(name: string, ...sizes: readonly number[]): SecretObject {
  const data = Object.fromEntries(sizes.map((size, index) => [`k${index}`, "x".repeat(size)]));
  return { metadata: { name, uid: `uid-of-${name}`, resourceVersion: "1" }, type: "Opaque", data };
}

function keysOf(count: number): ObjectKey[] {
  return Array.from({ length: count }, (_, index) => `ns/s-${index}` as const);
}

/** Payloads that are kept one after the other, each read by one of so many who refer to it. */
function payloadsAfter(keys: readonly ObjectKey[], size: number, referrers: number) {
  const payloads = createPayloads(() => referrers);
  for (const key of keys) payloads.keep(key, secretOf(key, size), 1);
  return { found: () => keys.filter((key) => payloads.find(key)), payloads };
}

test("what somebody has yet to read is held up to eight megabytes, and what was used longest ago goes first", () => {
  const keys = keysOf(12);
  const { payloads, found } = payloadsAfter(keys.slice(0, 7), MIB, 100);
  expect(payloads.find("ns/s-0")).toBeDefined();
  for (const key of keys.slice(7, 9)) payloads.keep(key, secretOf(key, MIB), 1);
  expect(found()).not.toContain("ns/s-1");
  expect(payloads.find("ns/s-0")).toBeDefined();
});

test("of what everybody has read one megabyte is held, and the newest whatever its size", () => {
  const keys = keysOf(50);
  expect(payloadsAfter(keys, 100_000, 1).found()).toEqual(keys.slice(-10));
  expect(payloadsAfter(keys, 1_400_000, 1).found()).toEqual(keys.slice(-1));
});

test("what somebody has yet to read stays while what all have read makes room, and makes room itself when all have", () => {
  const payloads = createPayloads((key) => (key === "ns/shared" ? 3 : 1));
  payloads.keep("ns/shared", secretOf("shared", 2 * MIB), 1);
  for (const key of keysOf(100)) payloads.keep(key, secretOf(key, 100_000), 1);
  for (const _ of ["the second", "the third"]) expect(payloads.find("ns/shared")).toBeDefined();
  payloads.keep("ns/other", secretOf("other", 10), 1);
  expect(payloads.find("ns/shared")).toBeUndefined();
});

test("ten who waited for one answer count as ten", () => {
  const payloads = createPayloads((key) => (key === "ns/shared" ? 10 : 1));
  payloads.keep("ns/shared", secretOf("shared", 2 * MIB), 10);
  payloads.keep("ns/other", secretOf("other", 10), 1);
  expect(payloads.find("ns/shared")).toBeUndefined();
});

test("what all had read is held for those who refer to it later", () => {
  let referrers = 1;
  const payloads = createPayloads(() => referrers);
  const keys = keysOf(10);
  for (const key of keys) payloads.keep(key, secretOf(key, 100_000), 1);
  referrers = 2;
  for (let other = 0; other < 20; other += 1) payloads.keep(`ns/other-${other}`, secretOf("other", 100_000), 2);
  expect(keys.filter((key) => payloads.find(key))).toEqual(keys);
});

test("thousands of small Secrets are counted with what each entry takes", () => {
  const keys = keysOf(20_000);
  expect(payloadsAfter(keys, 1, 2).found().length).toBeLessThan((8 * MIB) / 500);
});

test("of a Secret no more is held than its values and what identifies it", () => {
  const payloads = createPayloads(() => 2);
  const annotated = { ...secretOf("a", 10), metadata: { ...secretOf("a").metadata, annotations: { last: "x" } } };
  payloads.keep("ns/a", annotated, 1);
  expect(payloads.find("ns/a")).toEqual(secretOf("a", 10));
});

test("what was forgotten or replaced takes no room", () => {
  const payloads = createPayloads(() => 2);
  for (let time = 0; time < 20; time += 1) payloads.keep("ns/a", secretOf("a", MIB), 1);
  for (const key of keysOf(6)) {
    payloads.keep(key, secretOf(key, MIB), 1);
    payloads.forget(key);
  }
  payloads.keep("ns/b", secretOf("b", 5 * MIB), 1);
  expect(payloads.find("ns/a")).toBeDefined();
  expect(payloads.find("ns/b")).toBeDefined();
});
