import { createCipheriv, createDecipheriv, createHash, createSecretKey, randomBytes } from "node:crypto";
import type { KeyObject } from "node:crypto";
import { KeysteadError } from "../errors.ts";
import { lengthPrefixed } from "./sealed-value.ts";
import type { Secret } from "./secret.ts";

const KEY_BYTES = 32;
const IV_BYTES = 12;
const TAG_BYTES = 16;
const WRAPPED_VERSION = 1;

/** 64 bits: enough to tell an operator's keys apart, short enough to compare by eye. */
const FINGERPRINT_DIGITS = 16;

const HOW_TO_MAKE_ONE = "make one with `openssl rand -base64 32` or `keystead keygen`";

const BASE64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/;

/** RFC 4648 section 5. Refused, so that a key has one form and two texts that look different are two keys. */
const URL_SAFE_BASE64 = /^[A-Za-z0-9_-]+={0,2}$/;

/** Which data key is wrapped: part of the additional data, so a wrapping cannot stand in for another's. */
export interface WrappedKeyPlace {
  readonly environmentId: string;
  readonly dataKeyId: string;
}

/**
 * The operator's keys, which wrap data keys. Asynchronous, and with opaque ids, so that a key management service can
 * stand behind it: nothing outside may assume that an id is a fingerprint or that a key is in memory.
 */
export interface KeyEncryptionKeys {
  /** Ids of all configured keys, the current one first. */
  readonly ids: readonly string[];
  /** Encrypts a data key under one of `ids`. */
  wrap(keyId: string, dataKey: Buffer, place: WrappedKeyPlace): Promise<Buffer>;
  /**
   * The data key again. Rejects with `encryption_key_unknown` when `keyId` is not configured and with
   * `sealed_value_invalid` when the bytes were not wrapped by it for this place.
   */
  unwrap(keyId: string, wrapped: Buffer, place: WrappedKeyPlace): Promise<Buffer>;
}

/**
 * Reads the operator's keys from their base64 texts. White space around a text is ignored: files of a mounted Secret
 * and `openssl` both end with a line feed. Throws `encryption_key_missing` or `encryption_key_invalid`; the message
 * says which setting is wrong and how to make a key, and never shows a part of one.
 */
export function createKeyEncryptionKeys(
  current: Secret | undefined,
  previous: readonly Secret[] = [],
): KeyEncryptionKeys {
  if (current === undefined || current.reveal().trim() === "") {
    throw new KeysteadError("encryption_key_missing", `KEYSTEAD_ENCRYPTION_KEY is not set: ${HOW_TO_MAKE_ONE}`);
  }
  const keys = new Map<string, KeyObject>();
  for (const [index, text] of [current, ...previous].entries()) {
    const bytes = parseKey(text, index === 0 ? "KEYSTEAD_ENCRYPTION_KEY" : "KEYSTEAD_PREVIOUS_ENCRYPTION_KEYS");
    const id = fingerprint(bytes);
    if (!keys.has(id)) keys.set(id, createSecretKey(bytes));
  }
  const keyOf = (id: string): KeyObject => {
    const key = keys.get(id);
    if (key) return key;
    throw new KeysteadError(
      "encryption_key_unknown",
      `encryption key ${id} is not configured (configured: ${[...keys.keys()].join(", ")})`,
    );
  };
  return {
    ids: [...keys.keys()],
    wrap: async (keyId, dataKey, place) => wrapWith(keyOf(keyId), keyId, dataKey, place),
    unwrap: async (keyId, wrapped, place) => unwrapWith(keyOf(keyId), keyId, wrapped, place),
  };
}

/**
 * What is wrong with the text of a key, as the rest of a sentence that begins with the name of its setting; undefined when
 * nothing is. White space around it does not count. No part of the text is repeated. The one rule for keys, which the
 * configuration asks as well.
 */
export function encryptionKeyProblem(text: string): string | undefined {
  const fault = faultOf(text.trim());
  return (
    fault &&
    `${fault}. It has to be ${KEY_BYTES} bytes in standard base64, 44 characters with a "=" at the end: ${HOW_TO_MAKE_ONE}`
  );
}

function faultOf(text: string): string | undefined {
  if (text === "") return "is empty";
  if (/[-_]/.test(text) && URL_SAFE_BASE64.test(text)) return "is URL-safe base64 (base64url)";
  if (!BASE64.test(text)) return "is not base64";
  const bytes = Buffer.from(text, "base64");
  if (bytes.length !== KEY_BYTES) return `decodes to ${bytes.length} bytes instead of ${KEY_BYTES}`;
  return bytes.toString("base64") === text ? undefined : "is base64 with stray bits at its end";
}

/** A fresh key in the form the settings take. */
export function generateKeyEncryptionKey(): string {
  return randomBytes(KEY_BYTES).toString("base64");
}

/**
 * Public name of a key: the first half of a SHA-256 over it, with a prefix that no other hash in the program has. The
 * key is 256 random bits, so its hash gives nothing away.
 */
function fingerprint(key: Buffer): string {
  return createHash("sha256")
    .update("keystead key encryption key v1\n")
    .update(key)
    .digest("hex")
    .slice(0, FINGERPRINT_DIGITS);
}

function parseKey(text: Secret, setting: string): Buffer {
  const problem = encryptionKeyProblem(text.reveal());
  if (problem !== undefined) throw new KeysteadError("encryption_key_invalid", `${setting} ${problem}`);
  return Buffer.from(text.reveal().trim(), "base64");
}

/** version | IV | tag | wrapped key: 61 bytes for a data key of 32. */
function wrapWith(key: KeyObject, keyId: string, dataKey: Buffer, place: WrappedKeyPlace): Buffer {
  const iv = randomBytes(IV_BYTES);
  const cipher = createCipheriv("aes-256-gcm", key, iv, { authTagLength: TAG_BYTES });
  cipher.setAAD(wrappedKeyData(keyId, place));
  const ciphertext = Buffer.concat([cipher.update(dataKey), cipher.final()]);
  return Buffer.concat([Buffer.of(WRAPPED_VERSION), iv, cipher.getAuthTag(), ciphertext]);
}

function unwrapWith(key: KeyObject, keyId: string, wrapped: Buffer, place: WrappedKeyPlace): Buffer {
  const tagStart = 1 + IV_BYTES;
  const ciphertextStart = tagStart + TAG_BYTES;
  if (wrapped.length <= ciphertextStart || wrapped.readUInt8(0) !== WRAPPED_VERSION) {
    throw invalidWrapping(keyId, place, "it is cut or of an unknown version");
  }
  const decipher = createDecipheriv("aes-256-gcm", key, wrapped.subarray(1, tagStart), { authTagLength: TAG_BYTES });
  decipher.setAAD(wrappedKeyData(keyId, place));
  decipher.setAuthTag(wrapped.subarray(tagStart, ciphertextStart));
  try {
    return Buffer.concat([decipher.update(wrapped.subarray(ciphertextStart)), decipher.final()]);
  } catch (cause) {
    throw invalidWrapping(keyId, place, "it was made for another key or place, or changed since", cause);
  }
}

function wrappedKeyData(keyId: string, place: WrappedKeyPlace): Buffer {
  const fields = ["data-key", keyId, place.environmentId, place.dataKeyId].map((field) => Buffer.from(field, "utf8"));
  return lengthPrefixed([Buffer.of(WRAPPED_VERSION), ...fields]);
}

function invalidWrapping(keyId: string, place: WrappedKeyPlace, why: string, cause?: unknown): KeysteadError {
  return new KeysteadError(
    "sealed_value_invalid",
    `data key ${place.dataKeyId} of environment ${place.environmentId} cannot be unwrapped with encryption key ${keyId}: ${why}`,
    { cause, details: { keyId, ...place } },
  );
}
