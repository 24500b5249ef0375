import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { importOf, runScript } from "../test/support/script.ts";
import { temporaryDirectory } from "../test/support/temporary-directory.ts";
import { diskFull, openDataDirectory } from "./data-directory.ts";

test("the folder is made for its owner only, and is free again after a release", async () => {
  using folder = temporaryDirectory();
  const path = join(folder.path, "deep", "data");
  const data = await openDataDirectory(path);
  expect((statSync(path).mode & 0o777).toString(8)).toBe("700");
  data.release();
  const again = await openDataDirectory(path);
  expect(again.ended).toEqual([]);
  again.release();
});

test("a second owner is told who the first one is", async () => {
  using folder = temporaryDirectory();
  const open = importOf("openDataDirectory", "dev/data-directory.ts");
  const source = `${open} await openDataDirectory(${JSON.stringify(folder.path)}); console.log("open"); setInterval(() => {}, 1e6);`;
  await using owner = runScript(source);
  await owner.firstLine;
  await expect(openDataDirectory(folder.path)).rejects.toMatchObject({
    code: "directory_in_use",
    message: `${folder.path} is in use by process ${owner.pid}. Stop it first, or choose another folder with --data-dir.`,
  });
});

test("a path that is a file is refused by its name", async () => {
  using folder = temporaryDirectory();
  const path = join(folder.path, "file");
  writeFileSync(path, "");
  await expect(openDataDirectory(path)).rejects.toMatchObject({
    code: "configuration_invalid",
    message: expect.stringContaining(path),
  });
});

test("a full disk is one sentence, before anything is written to it", async ({ skip }) => {
  using folder = temporaryDirectory();
  const disk = join(folder.path, "disk");
  mkdirSync(disk);
  try {
    execFileSync("mount", ["-t", "tmpfs", "-o", "size=4m", "tmpfs", disk], { stdio: "ignore" });
  } catch {
    skip("only root of a machine that may mount can make a small disk");
  }
  try {
    const path = join(disk, "data");
    await expect(openDataDirectory(path)).rejects.toMatchObject({
      code: "disk_full",
      message: `The disk that holds ${path} is full: 4 MB are left. Free some space (a first start needs 200 MB) and start again.`,
    });
    expect(existsSync(join(path, "lock"))).toBe(false);
    writeFileSync(join(disk, "rest"), Buffer.alloc(3.5 * 1024 * 1024));
    // What later fails for want of space is explained by it.
    expect(diskFull(disk)).toMatchObject({ code: "disk_full" });
  } finally {
    execFileSync("umount", [disk]);
  }
});
