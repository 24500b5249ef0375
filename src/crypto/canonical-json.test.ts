import { isDeepStrictEqual } from "node:util";
import * as fc from "fast-check";
import { expect, test } from "vitest";
import { canonicalJson } from "./canonical-json.ts";
import { Secret } from "./secret.ts";

test("the order in which members were written does not matter, at any depth", () => {
  const shuffled = fc.jsonValue().chain((value) =>
    fc.tuple(
      fc.constant(value),
      fc.infiniteStream(fc.boolean()).map((flips) => reversed(value, flips)),
    ),
  );
  fc.assert(fc.property(shuffled, ([value, other]) => canonicalJson(value) === canonicalJson(other)));
});

test("the canonical text is JSON of the same value", () => {
  fc.assert(
    fc.property(fc.jsonValue(), (value) => {
      // JSON has no minus zero.
      expect(JSON.parse(canonicalJson(value))).toEqual(JSON.parse(JSON.stringify(value)));
    }),
  );
});

test("only values that are the same have the same text", () => {
  const small = fc.jsonValue({ maxDepth: 2 });
  fc.assert(
    fc.property(small, small, (a, b) => {
      const isSame = isDeepStrictEqual(JSON.parse(JSON.stringify(a)), JSON.parse(JSON.stringify(b)));
      expect(canonicalJson(a) === canonicalJson(b)).toBe(isSame);
    }),
  );
});

test("members that are undefined count as absent, as in what is stored", () => {
  expect(canonicalJson({ a: undefined, b: 1 })).toBe(canonicalJson({ b: 1 }));
});

test("a member named __proto__ is a member like any other", () => {
  expect(canonicalJson(JSON.parse('{"__proto__":1}'))).toBe('{"__proto__":1}');
});

test.each([
  ["a secret, which prints the same whatever it holds", new Secret("a")],
  ["a secret deep inside", { list: [{ value: new Secret("a") }] }],
  ["a date", new Date(0)],
  ["a map, which prints as {}", new Map([["a", 1]])],
  ["bytes", Buffer.from("a")],
  ["not a number", Number.NaN],
  ["infinity", -Infinity],
  ["a bigint", 1n],
  ["a function", () => 1],
  ["undefined itself", undefined],
  ["a hole in a list", [undefined]],
])("%s is refused instead of being digested as something else", (_, value) => {
  expect(() => canonicalJson(value)).toThrow(expect.objectContaining({ code: "json_not_canonical" }));
});

test("nesting that would end the stack is refused", () => {
  const deep: unknown = JSON.parse("[".repeat(5_000) + "]".repeat(5_000));
  expect(() => canonicalJson(deep)).toThrow(expect.objectContaining({ code: "json_not_canonical" }));
});

/** The same value with the members of some of its objects in the opposite order. */
function reversed(value: unknown, flips: Iterator<boolean>): unknown {
  if (Array.isArray(value)) return value.map((item) => reversed(item, flips));
  if (typeof value !== "object" || value === null) return value;
  const members = Object.entries(value).map(([name, member]) => [name, reversed(member, flips)] as const);
  return Object.fromEntries(flips.next().value === true ? members.toReversed() : members);
}
