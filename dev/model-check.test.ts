import { expect, test } from "vitest";
import { findingOf } from "./model-check.ts";

test.each([
  ["a search to its end", "State-vector 156 byte, depth reached 618, errors: 0\n  3295705 states, stored\n", "nothing"],
  [
    "a property that does not hold",
    "pan:1: assertion violated (good||expired) (at depth 105)\nState-vector 156 byte, errors: 1\n",
    "a violated property",
  ],
  ["a state with no way on", "pan:1: invalid end state (at depth 37)\nerrors: 1\n", "a state with no way on"],
  [
    "a search that ran out of memory",
    "Warning: Search not completed\nState-vector 156 byte, depth reached 618, errors: 0\n",
    "no end",
  ],
  ["a search that was cut", "error: max search depth too small\nState-vector 156 byte, errors: 0\n", "no end"],
  ["nothing at all", "", "no end"],
])("%s is told from the others", (_, report, found) => {
  expect(findingOf(report).found).toBe(found);
});
