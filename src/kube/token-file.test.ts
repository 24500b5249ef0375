import { mkdtempDisposable, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { fixedToken, tokenFile } from "./token-file.ts";

async function scratch() {
  return mkdtempDisposable(join(tmpdir(), "keystead-token-"));
}

test("a token is read again after a minute, and at once when the server refused it", async () => {
  await using directory = await scratch();
  const path = join(directory.path, "token");
  const bearer = tokenFile(path);
  await writeFile(path, "one\n");
  expect(bearer.authorization(0, false)).toBe("Bearer one");
  await writeFile(path, "two\n");
  expect(bearer.authorization(59_999, false)).toBe("Bearer one");
  expect(bearer.authorization(60_000, false)).toBe("Bearer two");
  await writeFile(path, "three");
  expect(bearer.authorization(60_001, true)).toBe("Bearer three");
});

test("a file that is gone or empty for a moment leaves the token that is known", async () => {
  await using directory = await scratch();
  const path = join(directory.path, "token");
  const bearer = tokenFile(path);
  await writeFile(path, "one");
  expect(bearer.authorization(0, false)).toBe("Bearer one");
  await writeFile(path, "");
  expect(bearer.authorization(60_000, false)).toBe("Bearer one");
  await rm(path);
  expect(bearer.authorization(120_000, true)).toBe("Bearer one");
});

test("without a first token the error names the file", async () => {
  await using directory = await scratch();
  const path = join(directory.path, "token");
  const wrong = expect.objectContaining({ code: "kube_identity_invalid", message: expect.stringContaining(path) });
  expect(() => tokenFile(path).authorization(0, false)).toThrow(wrong);
  await writeFile(path, " \n");
  expect(() => tokenFile(path).authorization(0, false)).toThrow(wrong);
});

test("a fixed token stays", () => {
  expect(fixedToken("one").authorization(0, true)).toBe("Bearer one");
});
