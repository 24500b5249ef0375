import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { REASONS } from "./reasons.ts";

const page = readFileSync(new URL("../../docs/reasons.md", import.meta.url), "utf8");
const rows = page
  .split("\n")
  .map((line) => /^\| `(\w+)` \| ([\w ]+) \| (\w*) ?\| (.+) \|$/.exec(line))
  .filter((match) => match !== null)
  .map(([, reason, ready, beside, meaning]) => ({ reason, ready, beside, meaning }));

test("docs/reasons.md explains every reason, and no other, with the conditions it goes with", () => {
  const documented = rows.map(({ reason, ready, beside }) => [reason, ready, beside]);
  const defined = Object.entries(REASONS).map(([reason, kind]) => [
    reason,
    kind.ready === "kept" ? "as before" : kind.ready,
    "beside" in kind ? kind.beside : "",
  ]);
  expect(documented).toEqual(defined);
});

test("a reason that needs a person says what to do", () => {
  const silent = rows.filter(({ beside, meaning }) => beside === "Stalled" && (meaning ?? "").split(". ").length < 2);
  expect(silent).toEqual([]);
});

test("a reason is a word that metav1.Condition allows", () => {
  for (const reason of Object.keys(REASONS)) expect(reason).toMatch(/^[A-Z][A-Za-z]{1,62}$/);
});
