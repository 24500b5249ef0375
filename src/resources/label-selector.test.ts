import * as fc from "fast-check";
import { expect, test } from "vitest";
import { type LabelSelector, matches } from "./label-selector.ts";

test.each<[why: string, selector: LabelSelector, labels: Record<string, string> | undefined, selected: boolean]>([
  ["an empty selector selects everything", {}, { team: "sales" }, true],
  ["an empty selector selects what has no labels", {}, undefined, true],
  ["the label with that value", { matchLabels: { team: "sales" } }, { team: "sales", x: "y" }, true],
  ["another value", { matchLabels: { team: "sales" } }, { team: "support" }, false],
  ["one of two labels", { matchLabels: { team: "sales", tier: "1" } }, { team: "sales" }, false],
  ["no labels at all", { matchLabels: { team: "sales" } }, undefined, false],
  ["an empty value is a value", { matchLabels: { team: "" } }, {}, false],
  [
    "In: one of the values",
    { matchExpressions: [{ key: "team", operator: "In", values: ["a", "b"] }] },
    { team: "b" },
    true,
  ],
  ["In: without the key", { matchExpressions: [{ key: "team", operator: "In", values: ["a"] }] }, {}, false],
  [
    "NotIn: another value",
    { matchExpressions: [{ key: "team", operator: "NotIn", values: ["a"] }] },
    { team: "b" },
    true,
  ],
  [
    "NotIn: one of the values",
    { matchExpressions: [{ key: "team", operator: "NotIn", values: ["a"] }] },
    { team: "a" },
    false,
  ],
  ["NotIn: also without the key", { matchExpressions: [{ key: "team", operator: "NotIn", values: ["a"] }] }, {}, true],
  ["Exists", { matchExpressions: [{ key: "team", operator: "Exists" }] }, { team: "" }, true],
  ["Exists: without the key", { matchExpressions: [{ key: "team", operator: "Exists" }] }, {}, false],
  ["DoesNotExist", { matchExpressions: [{ key: "team", operator: "DoesNotExist" }] }, {}, true],
  [
    "DoesNotExist: with the key",
    { matchExpressions: [{ key: "team", operator: "DoesNotExist" }] },
    { team: "a" },
    false,
  ],
  [
    "all requirements have to hold",
    {
      matchLabels: { a: "1" },
      matchExpressions: [
        { key: "b", operator: "Exists" },
        { key: "c", operator: "Exists" },
      ],
    },
    { a: "1", b: "2" },
    false,
  ],
  [
    "a key that every object inherits is not a label",
    { matchExpressions: [{ key: "constructor", operator: "Exists" }] },
    {},
    false,
  ],
])("%s", (_why, selector, labels, selected) => {
  expect(matches(selector, labels)).toBe(selected);
});

const labels = fc.dictionary(fc.constantFrom("a", "b", "c"), fc.constantFrom("1", "2"));
const values = fc.array(fc.constantFrom("1", "2", "3"), { minLength: 1, maxLength: 3 });

test("NotIn selects exactly what In does not, and DoesNotExist what Exists does not", () => {
  fc.assert(
    fc.property(labels, fc.constantFrom("a", "b", "d"), values, (given, key, among) => {
      const selected = (operator: "In" | "NotIn" | "Exists" | "DoesNotExist", list?: string[]) =>
        matches({ matchExpressions: [{ key, operator, values: list }] }, given);

      expect(selected("NotIn", among)).toBe(!selected("In", among));
      expect(selected("DoesNotExist")).toBe(!selected("Exists"));
    }),
  );
});

test("a further requirement never selects more", () => {
  fc.assert(
    fc.property(labels, labels, values, (given, wanted, among) => {
      const fewer = matches(
        { matchLabels: wanted, matchExpressions: [{ key: "a", operator: "In", values: among }] },
        given,
      );

      if (fewer) expect(matches({ matchLabels: wanted }, given)).toBe(true);
    }),
  );
});
