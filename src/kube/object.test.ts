import { expect, test } from "vitest";
import { isKubeObject, keyOf, objectKey, splitKey } from "./object.ts";

test("a key splits into the parts it was made of, with and without a namespace", () => {
  expect(splitKey(objectKey("shop", "acme"))).toEqual({ namespace: "shop", name: "acme" });
  expect(keyOf({ metadata: { name: "acme", namespace: "shop" } })).toBe("shop/acme");
  expect(splitKey(keyOf({ metadata: { name: "shop" } }))).toEqual({ namespace: "", name: "shop" });
});

test.each([
  { why: "complete", value: { metadata: { name: "a", uid: "u", resourceVersion: "1" } }, is: true },
  { why: "no metadata", value: { spec: {} }, is: false },
  { why: "metadata is null", value: { metadata: null }, is: false },
  { why: "a bookmark has no name", value: { metadata: { resourceVersion: "1" } }, is: false },
  { why: "a number for a name", value: { metadata: { name: 1, uid: "u", resourceVersion: "1" } }, is: false },
  { why: "a list", value: [], is: false },
  { why: "nothing", value: null, is: false },
])("bad case 29: tells objects from what is none: $why", ({ value, is }) => {
  expect(isKubeObject(value)).toBe(is);
});
