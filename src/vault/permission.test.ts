import { globSync, readFileSync } from "node:fs";
import { expect, test } from "vitest";

test("every statement that looks up a key asks from where it is used as well", () => {
  const files = globSync("*.ts", { cwd: import.meta.dirname }).filter((file) => !file.endsWith(".test.ts"));
  const texts = new Map(files.map((file) => [file, readFileSync(`${import.meta.dirname}/${file}`, "utf8")]));
  const having = (...words: readonly string[]): string[] =>
    files.filter((file) => words.some((word) => texts.get(file)?.includes(word)));

  expect(having("expires_at is null or")).toEqual(["permission.ts"]);
  const lookUps = having("${opens(");
  expect(lookUps.length).toBeGreaterThanOrEqual(5);
  // Answers where a key may be used from.
  const others = lookUps.filter((file) => file !== "find-limits.ts");
  const asking = having("${admits(", "${environmentOfKey(");
  expect(others.filter((file) => !asking.includes(file))).toEqual([]);
});
