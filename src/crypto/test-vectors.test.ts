import { expect, test } from "vitest";
import { canonicalJson } from "./canonical-json.ts";
import { digestOf, importDigestKey } from "./digest.ts";
import { createKeyEncryptionKeys } from "./kek.ts";
import { additionalData, importDataKey, openValue, sealValue, type SealedPlace } from "./sealed-value.ts";
import { Secret } from "./secret.ts";
import vectors from "./test-vectors.json" with { type: "json" };
import { formatToken, tokenDigest, tokenFingerprint, tokenKindOf, type TokenKind } from "./token.ts";

const LABELS: Readonly<Record<string, SealedPlace["label"]>> = {
  "connection.credentials": "connection.credentials",
  "connection.config": "connection.config",
  "environment.variables": "environment.variables",
};
const KINDS: Readonly<Record<string, TokenKind>> = {
  "secret-key": "secret-key",
  "public-key": "public-key",
  "connect-session": "connect-session",
};

test.each(vectors.sealedValues)("a sealed value is made of the written bytes: $title", (vector) => {
  const label = LABELS[vector.label] ?? expect.unreachable();
  const place = { ...vector, label };
  const key = importDataKey(vector.dataKeyId, hex(vector.dataKey));
  expect(additionalData(place).toString("hex")).toBe(vector.additionalData);
  expect(sealValue(key, vector.plaintext, place, () => hex(vector.iv)).toString("hex")).toBe(vector.sealed);
  expect(openValue(key, hex(vector.sealed), place)).toBe(vector.plaintext);
});

test.each(vectors.wrappedKeys)("a wrapped data key opens with the written key $keyEncryptionKeyId", async (vector) => {
  const keys = createKeyEncryptionKeys(new Secret(vector.keyEncryptionKeyBase64));
  expect(keys.ids).toEqual([vector.keyEncryptionKeyId]);
  const dataKey = await keys.unwrap(vector.keyEncryptionKeyId, hex(vector.wrapped), vector);
  expect(dataKey.toString("hex")).toBe(vector.dataKey);
});

test.each(vectors.tokens)("$token is a $kind with the written digest and fingerprint", (vector) => {
  const kind = KINDS[vector.kind] ?? expect.unreachable();
  expect(formatToken(kind, hex(vector.random))).toBe(vector.token);
  expect(tokenKindOf(vector.token)).toBe(kind);
  const digest = tokenDigest(vector.token);
  expect(digest.toString("hex")).toBe(vector.digest);
  expect(tokenFingerprint(digest)).toBe(vector.fingerprint);
});

test.each(vectors.canonicalJson)("the canonical text is $canonical", ({ value, canonical }) => {
  expect(canonicalJson(value)).toBe(canonical);
});

test.each(vectors.digests)("the digest of a $part is $digestBase64", ({ digestKey, part, value, digestBase64 }) => {
  expect(digestOf(importDigestKey(hex(digestKey)), part, value)).toBe(digestBase64);
});

function hex(text: string): Buffer {
  return Buffer.from(text, "hex");
}
