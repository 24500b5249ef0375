import { expect, test } from "vitest";
import { valuesList } from "./values-list.ts";

test("every cell is a parameter of its own, and the first row carries the types", () => {
  const rows = [
    ["a", Buffer.of(1)],
    ["b", null],
  ];
  expect(valuesList(["text", "bytea"], rows)).toEqual({
    text: "values ($1::text, $2::bytea),\n($3, $4)",
    values: ["a", Buffer.of(1), "b", null],
  });
});
