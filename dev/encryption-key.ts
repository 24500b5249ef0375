import { randomBytes } from "node:crypto";
import { closeSync, fsyncSync, openSync, readFileSync, renameSync, writeSync } from "node:fs";
import { KeysteadError } from "../src/errors.ts";

/** AES-256. */
const KEY_BYTES = 32;

/**
 * The operator's key kept in the file; made on the first call. It is on the disk before it is used: rows that are
 * sealed with a key that a power failure took away could never be read again. Throws `configuration_invalid` when there is
 * a file that cannot be read: another key in its place would have the same effect.
 */
export function readOrMakeEncryptionKey(path: string): string {
  const kept = readKept(path);
  if (kept !== undefined) return kept;
  const key = randomBytes(KEY_BYTES).toString("base64");
  const file = openSync(`${path}.new`, "w", 0o600);
  try {
    writeSync(file, `${key}\n`);
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
  renameSync(`${path}.new`, path);
  return key;
}

function readKept(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8").trim();
  } catch (cause) {
    if (cause instanceof Error && "code" in cause && cause.code === "ENOENT") return undefined;
    const message = `the encryption key in ${path} cannot be read: make the file readable for you. No other key is made in its place, since nothing that is stored could be opened with it`;
    throw new KeysteadError("configuration_invalid", message, { cause });
  }
}
