import { expect, test } from "vitest";
import type { Migration } from "./migrations.ts";
import { compareSchema, refusePostgres, type AppliedMigration } from "./schema-state.ts";

const CODE = [migration(1), migration(2)];

test.each<[string, AppliedMigration[], { version: number; pending: string[] }]>([
  ["empty", [], { version: 0, pending: ["m1", "m2"] }],
  ["one migration behind", [applied(1)], { version: 1, pending: ["m2"] }],
  ["as the code expects it", [applied(1), applied(2)], { version: 2, pending: [] }],
  ["ahead, and says this code may go on", [applied(1), applied(2), applied(3, 2)], { version: 3, pending: [] }],
])("a database that is %s", (_, rows, expected) => {
  expect(compareSchema(rows, CODE)).toEqual({ codeVersion: 2, ...expected });
});

test("a database whose newest migration needs newer code is refused, whatever came before", () => {
  const rows = [applied(1), applied(2), applied(3, 3), applied(4, 1)];
  expect(() => compareSchema(rows, CODE)).toThrow(
    expect.objectContaining({ code: "code_outdated", details: { needed: 3, codeVersion: 2 } }),
  );
});

test("an edited migration is refused before anything else is said", () => {
  const rows = [{ ...applied(1), checksum: "other" }, applied(2), applied(3, 3)];
  expect(() => compareSchema(rows, CODE)).toThrow(expect.objectContaining({ code: "migration_changed" }));
});

test.each([
  [140_012, true],
  [149_999, true],
  [150_000, false],
  [180_004, false],
  [190_000, false],
])("Postgres %i: refused is %s", (version, isRefused) => {
  expect(refusePostgres(version)?.code).toBe(isRefused ? "postgres_unsupported" : undefined);
});

function migration(version: number): Migration {
  return { version, name: `m${version}`, sql: "", checksum: `sum ${version}`, minCodeVersion: 1 };
}

function applied(version: number, minCodeVersion = 1): AppliedMigration {
  return { version, name: `m${version}`, checksum: `sum ${version}`, min_code_version: minCodeVersion };
}
