import { mkdirSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { temporaryDirectory } from "../test/support/temporary-directory.ts";
import { readOrMakeEncryptionKey } from "./encryption-key.ts";

test("the key is 32 bytes, for its owner only, the same on every start and different in every folder", () => {
  using folder = temporaryDirectory();
  const path = join(folder.path, "key");
  const key = readOrMakeEncryptionKey(path);
  expect(Buffer.from(key, "base64")).toHaveLength(32);
  expect((statSync(path).mode & 0o777).toString(8)).toBe("600");
  expect(readOrMakeEncryptionKey(path)).toBe(key);
  expect(readOrMakeEncryptionKey(join(folder.path, "other"))).not.toBe(key);
});

test("a start that was killed while it wrote leaves no half key", () => {
  using folder = temporaryDirectory();
  const path = join(folder.path, "key");
  writeFileSync(`${path}.new`, "AAAA");
  expect(Buffer.from(readOrMakeEncryptionKey(path), "base64")).toHaveLength(32);
});

test("a key that cannot be read is never replaced by another", () => {
  using folder = temporaryDirectory();
  const path = join(folder.path, "key");
  mkdirSync(path);
  expect(() => readOrMakeEncryptionKey(path)).toThrow(`the encryption key in ${path} cannot be read`);
  expect(statSync(path).isDirectory()).toBe(true);
});
