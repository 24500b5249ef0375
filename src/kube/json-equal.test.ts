import * as fc from "fast-check";
import { expect, test } from "vitest";
import { jsonEqual } from "./json-equal.ts";

test("values are equal exactly when their canonical JSON is", () => {
  fc.assert(
    fc.property(fc.jsonValue(), fc.jsonValue(), (one, other) => {
      expect(jsonEqual(one, JSON.parse(JSON.stringify(one)))).toBe(true);
      expect(jsonEqual(one, other)).toBe(canonical(one) === canonical(other));
    }),
  );
});

test.each([
  { why: "order of keys", one: { a: 1, b: 2 }, other: { b: 2, a: 1 }, equal: true },
  { why: "an undefined key is an absent one", one: { a: 1, b: undefined }, other: { a: 1 }, equal: true },
  { why: "JSON knows no negative zero", one: { a: 0 }, other: { a: -0 }, equal: true },
  { why: "null is a value", one: { a: null }, other: {}, equal: false },
  { why: "an array is no object", one: [], other: {}, equal: false },
  { why: "same number of keys, other names", one: { a: undefined, b: 1 }, other: { c: 1 }, equal: false },
])("$why", ({ one, other, equal }) => {
  expect(jsonEqual(one, other)).toBe(equal);
  expect(jsonEqual(other, one)).toBe(equal);
});

function canonical(value: unknown): string {
  return JSON.stringify(value, (_, inner: unknown) =>
    typeof inner === "object" && inner !== null && !Array.isArray(inner)
      ? Object.fromEntries(Object.entries(inner).toSorted(([one], [other]) => (one < other ? -1 : 1)))
      : inner,
  );
}
