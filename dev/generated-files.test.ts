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
  mkdirSync(join(root, "docs"));
  cpSync(join(ROOT, "crds"), join(root, "crds"), { recursive: true });
  cpSync(join(ROOT, "docs", "configuration.md"), join(root, "docs", "configuration.md"));
}

test.each(["crds/keystead.dev_connections.yaml", "docs/configuration.md"])(
  "a deliberate edit of %s is found",
  (path) => {
    using folder = temporaryDirectory();
    copyOfGeneratedFiles(folder.path);
    expect(outdatedFiles(folder.path)).toEqual([]);
    appendFileSync(join(folder.path, path), " \n");
    expect(outdatedFiles(folder.path).map((file) => file.path)).toEqual([path]);
  },
);

test("a checkout without them lacks all of them", () => {
  using folder = temporaryDirectory();
  expect(outdatedFiles(folder.path).length).toBeGreaterThanOrEqual(4);
});

test("the check says nothing and passes while everything is in step", async () => {
  const checked = await promisify(execFile)(process.execPath, [join(ROOT, "dev", "generate.ts"), "--check"]);
  expect(checked.stdout).toBe("");
});
