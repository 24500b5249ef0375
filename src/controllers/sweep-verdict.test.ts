import { expect, test } from "vitest";
import { judgeSweep } from "./sweep-verdict.ts";

test.each([
  { orphans: 0, managed: 100, confirmed: 0, verdict: "nothing", why: "all is well" },
  { orphans: 10, managed: 10, confirmed: 0, verdict: "delete", why: "few, though they are all there is" },
  { orphans: 11, managed: 11, confirmed: 0, verdict: "stop", why: "more than a few, and all there is" },
  { orphans: 11, managed: 220, confirmed: 0, verdict: "delete", why: "5 % exactly" },
  { orphans: 11, managed: 219, confirmed: 0, verdict: "stop", why: "just over 5 %" },
  { orphans: 5_000, managed: 100_000, confirmed: 0, verdict: "delete", why: "5 % of a large installation" },
  { orphans: 50, managed: 100, confirmed: 50, verdict: "delete", why: "a person has confirmed them" },
  { orphans: 51, managed: 100, confirmed: 50, verdict: "stop", why: "one more than was confirmed" },
] as const)("$orphans orphans of $managed rows, $confirmed confirmed: $verdict ($why)", ({ verdict, ...findings }) => {
  expect(judgeSweep(findings)).toBe(verdict);
});
