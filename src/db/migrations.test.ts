import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { readMigrations } from "./migrations.ts";

const HEADER = "-- min_code_version: 1\n";

test("files are read in the order of their numbers, each with a checksum that an edit changes", async () => {
  await using folder = await folderWith({ "0002-b.sql": `${HEADER}select 2`, "0001-a.sql": `${HEADER}select 1` });
  const before = readMigrations(folder.path);
  expect(before).toMatchObject([
    { version: 1, name: "a", minCodeVersion: 1 },
    { version: 2, name: "b", minCodeVersion: 1 },
  ]);
  await writeFile(join(folder.path, "0001-a.sql"), `${HEADER}select 1 `);
  const after = readMigrations(folder.path);
  expect(after[0]?.checksum).not.toBe(before[0]?.checksum);
  expect(after[1]?.checksum).toBe(before[1]?.checksum);
});

test.each([
  ["a gap", { "0001-a.sql": HEADER, "0003-c.sql": HEADER }],
  ["a number given twice", { "0001-a.sql": HEADER, "0001-b.sql": HEADER }],
  ["a file without a number", { "a.sql": HEADER }],
  ["a file that is no SQL", { "0001-a.txt": HEADER }],
  ["a file that does not say which code it suits", { "0001-a.sql": "select 1" }],
])("%s is an error before anything is applied", async (_, files) => {
  await using folder = await folderWith(files);
  expect(() => readMigrations(folder.path)).toThrow(expect.objectContaining({ code: "internal_error" }));
});

async function folderWith(files: Readonly<Record<string, string>>) {
  const path = await mkdtemp(join(tmpdir(), "keystead-migrations-"));
  await Promise.all(Object.entries(files).map(([name, text]) => writeFile(join(path, name), text)));
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true }) };
}
