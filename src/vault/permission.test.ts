import { globSync, readFileSync } from "node:fs";
import { expect, test } from "vitest";

test("every statement that looks up a key asks from where it is used as well", () => {
  const folder = import.meta.dirname;
  const lookUps = globSync("*.ts", { cwd: folder }).filter((file) => {
    const text = readFileSync(`${folder}/${file}`, "utf8");
    return !file.endsWith(".test.ts") && /digest = .*\n?.*expires_at is null or/.test(text);
  });
  expect(lookUps.length).toBeGreaterThanOrEqual(5);
  // Answers where a key may be used from.
  const others = lookUps.filter((file) => file !== "find-limits.ts");
  const without = others.filter((file) => !readFileSync(`${folder}/${file}`, "utf8").includes("${admits("));
  expect(without).toEqual([]);
});
