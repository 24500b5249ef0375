import { expect, test } from "vitest";
import { digestOf, generateDigestKey, importDigestKey } from "./digest.ts";

const key = importDigestKey(generateDigestKey());

test("equal values of one part have one digest, however they were written", () => {
  expect(digestOf(key, "part", { a: 1, b: [2] })).toBe(digestOf(key, "part", { b: [2], a: 1 }));
});

test("an edit anywhere inside shows", () => {
  const before = digestOf(key, "part", { tags: { team: "sales" } });
  expect(digestOf(key, "part", { tags: { team: "sale" } })).not.toBe(before);
  expect(digestOf(key, "part", { tags: { team: "sales", x: null } })).not.toBe(before);
});

test("a digest of one part or environment cannot stand in for that of another", () => {
  const digests = [
    digestOf(key, "part", "value"),
    digestOf(key, "par", 't"value"'),
    digestOf(key, "other", "value"),
    digestOf(importDigestKey(generateDigestKey()), "part", "value"),
  ];
  expect(new Set(digests).size).toBe(digests.length);
});
