import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { asKeysteadError, ERRORS, hasCode, KeysteadError } from "./errors.ts";

/** The rows of docs/errors.md: code, status, and whether the page says it is retried. */
function documented(): Map<string, { status: number; retryable: boolean }> {
  const page = readFileSync(new URL("../docs/errors.md", import.meta.url), "utf8");
  const rows = [...page.matchAll(/^\| `([a-z_]+)` \| (\d{3}) \| (yes|no) \|/gm)];
  return new Map(
    rows.map(([, code = "", status, retried]) => [code, { status: Number(status), retryable: retried === "yes" }]),
  );
}

test("docs/errors.md has a row for every code, and none for a code that does not exist", () => {
  const codes = documented();
  expect([...codes.keys()].toSorted()).toEqual(Object.keys(ERRORS).toSorted());
});

test("docs/errors.md gives each code the status and the retry rule that the program has", () => {
  expect(Object.fromEntries(documented())).toEqual(ERRORS);
});

test("what was thrown becomes an error with a code, and stays its cause", () => {
  const thrown = new TypeError("x is not a function");
  const error = asKeysteadError(thrown);
  expect(error).toMatchObject({ code: "internal_error", status: 500, retryable: true, cause: thrown });
  expect(asKeysteadError(error)).toBe(error);
  expect(asKeysteadError("just a text").message).toBe("just a text");
});

test("a code is recognised on our own errors only, not on those of libraries that carry a code as well", () => {
  const ours = new KeysteadError("row_changed", "The row changed.");
  const theirs = Object.assign(new Error("The row changed."), { code: "row_changed" });
  expect([hasCode(ours, "row_changed"), hasCode(ours, "not_found"), hasCode(theirs, "row_changed")]).toEqual([
    true,
    false,
    false,
  ]);
});
