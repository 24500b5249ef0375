import { spawnSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { temporaryDirectory } from "./temporary-directory.ts";

const ROOT = join(import.meta.dirname, "..", "..");

/** What a run of these test files prints. They see this repository's packages. */
function run(files: Record<string, string>): string[] {
  using folder = temporaryDirectory();
  for (const [name, text] of Object.entries(files)) writeFileSync(join(folder.path, name), text);
  const reporter = join(ROOT, "test", "support", "closing-line.ts");
  const config = { test: { globals: true, include: ["*.test.ts"], reporters: ["default", reporter] } };
  writeFileSync(join(folder.path, "vitest.config.mjs"), `export default ${JSON.stringify(config)};`);
  const vitest = join(ROOT, "node_modules", "vitest", "vitest.mjs");
  const result = spawnSync(process.execPath, [vitest, "run", "--root", folder.path], {
    encoding: "utf8",
    env: { ...process.env, VITEST: "" },
  });
  return result.stdout.trimEnd().split("\n");
}

test("the last line counts tests by what became of them, and skipped ones say why", () => {
  const lines = run({
    "one.test.ts": `
      test("passes", () => {});
      test("fails", () => { throw new Error("no"); });
      test("needs Go", ({ skip }) => skip("Go is not installed"));
      test.skip("left out", () => {});`,
  });
  expect(lines.slice(-2)).toEqual(["skipped: needs Go: Go is not installed", "1 passed, 1 failed, 2 skipped"]);
});

test.each([
  [
    "a file that cannot be loaded",
    { "broken.test.ts": `import "./missing.ts";`, "fine.test.ts": `test("passes", () => {});` },
  ],
  [
    "an error outside of every test",
    { "fine.test.ts": `test("passes", () => { void Promise.reject(new Error("nobody waits")); });` },
  ],
  [
    "a hook that fails",
    { "hook.test.ts": `afterAll(() => { throw new Error("left running"); }); test("passes", () => {});` },
  ],
])("%s counts as a failure", (_, files: Record<string, string>) => {
  expect(run(files).at(-1)).toBe("1 passed, 1 failed, 0 skipped");
});
