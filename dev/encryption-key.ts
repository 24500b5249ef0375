import { randomBytes } from "node:crypto";
import { closeSync, fsyncSync, openSync, renameSync, writeSync } from "node:fs";
import { readText } from "./state-file.ts";

/** AES-256. */
const KEY_BYTES = 32;

/**
 * The operator's key kept in the file; made on the first call. It is on the disk before it is used: rows that are
 * sealed with a key that a power failure took away could never be read again.
 */
export function readOrMakeEncryptionKey(path: string): string {
  const kept = readText(path);
  if (kept !== undefined) return kept.trim();
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
