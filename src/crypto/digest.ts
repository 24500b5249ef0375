import { createHmac, createSecretKey, randomBytes, type KeyObject } from "node:crypto";
import { canonicalJson } from "./canonical-json.ts";

/** Length of an HMAC-SHA256 key: that of the hash's output (RFC 2104 section 3: shorter weakens it, longer adds nothing). */
const DIGEST_KEY_BYTES = 32;

/** A fresh digest key. Each environment has one, and it never changes: a new one would make everything look edited. */
export function generateDigestKey(): Buffer {
  return randomBytes(DIGEST_KEY_BYTES);
}

/** Takes the bytes out of the JavaScript heap, where a heap snapshot would show them. */
export function importDigestKey(bytes: Buffer): KeyObject {
  return createSecretKey(bytes);
}

/**
 * Keyed digest of a JSON value, base64. Two values of one part are the same exactly when their digests are. Keyed,
 * because low-entropy secrets (a PIN, a short password) could be guessed from a plain hash in a stolen database.
 *
 * `part` is mixed in, so that equal content of two parts has two digests and one cannot stand in for the other.
 * Throws `json_not_canonical`.
 */
export function digestOf(key: KeyObject, part: string, value: unknown): string {
  const label = Buffer.from(part, "utf8");
  const length = Buffer.alloc(4);
  length.writeUInt32BE(label.length);
  return createHmac("sha256", key).update(length).update(label).update(canonicalJson(value), "utf8").digest("base64");
}
