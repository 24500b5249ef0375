import { execFile } from "node:child_process";
import { appendFileSync, cpSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { expect, test } from "vitest";
import { temporaryDirectory } from "../test/support/temporary-directory.ts";
import { outdatedFiles } from "./generated-files.ts";

const ROOT = join(import.meta.dirname, "..");

/** A checkout with nothing but the generated files, all in step. */
function copyOfGeneratedFiles(root: string): void {
  for (const folder of ["docs", "src/oauth"]) mkdirSync(join(root, folder), { recursive: true });
  cpSync(join(ROOT, "crds"), join(root, "crds"), { recursive: true });
  const files = ["docs/configuration.md", "docs/providers.md", "src/oauth/catalogue.json"];
  for (const file of files) cpSync(join(ROOT, file), join(root, file));
}

test.each([
  "crds/keystead.dev_connections.yaml",
  "docs/configuration.md",
  "docs/providers.md",
  "src/oauth/catalogue.json",
])("a deliberate edit of %s is found", (path) => {
  using folder = temporaryDirectory();
  copyOfGeneratedFiles(folder.path);
  expect(outdatedFiles(folder.path)).toEqual([]);
  appendFileSync(join(folder.path, path), " \n");
  expect(outdatedFiles(folder.path).map((file) => file.path)).toEqual([path]);
});

test("a checkout without them lacks all of them", () => {
  using folder = temporaryDirectory();
  expect(outdatedFiles(folder.path).length).toBeGreaterThanOrEqual(6);
});

test("the check says nothing and passes while everything is in step", async () => {
  const checked = await promisify(execFile)(process.execPath, [join(ROOT, "dev", "generate.ts"), "--check"]);
  expect(checked.stdout).toBe("");
});
