import { expect, test } from "vitest";
import { alignedTable } from "./aligned-table.ts";

test("columns are as wide as their widest cell, and no line ends with blanks", () => {
  expect(
    alignedTable([
      ["NAME", "STATE", "WHY"],
      ["a", "wrapping", ""],
      ["longer", "known", "no"],
    ]),
  ).toBe("NAME     STATE      WHY\na        wrapping\nlonger   known      no\n");
});
