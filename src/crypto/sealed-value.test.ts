import * as fc from "fast-check";
import { expect, test } from "vitest";
import { createInitializationVectors } from "./initialization-vectors.ts";
import {
  additionalData,
  dataKeyIdOf,
  generateDataKey,
  importDataKey,
  lengthPrefixed,
  openValue,
  sealValue,
  type SealedPlace,
} from "./sealed-value.ts";
import { uuidv7 } from "./uuid.ts";

const ivs = createInitializationVectors();
const key = importDataKey(uuidv7(), generateDataKey());
const place: SealedPlace = {
  label: "connection.credentials",
  environmentId: uuidv7(),
  rowId: uuidv7(),
  revision: 3,
};
const INVALID = expect.objectContaining({ code: "sealed_value_invalid" });

test("any text comes out as it went in, and names its data key", () => {
  fc.assert(
    fc.property(fc.string({ unit: "binary", minLength: 1 }), (text) => {
      const sealed = sealValue(key, text, place, ivs);
      expect(openValue(key, sealed, place)).toBe(text.toWellFormed());
      expect(dataKeyIdOf(sealed, place)).toBe(key.id);
    }),
  );
});

test("sealing a text twice gives different bytes everywhere but in the header", () => {
  const [a, b] = [sealValue(key, "secret", place, ivs), sealValue(key, "secret", place, ivs)];
  expect(a.subarray(0, 17)).toEqual(b.subarray(0, 17));
  expect(a.subarray(17)).not.toEqual(b.subarray(17));
});

test.each<[string, Partial<SealedPlace>]>([
  ["another environment", { environmentId: uuidv7() }],
  ["another row", { rowId: uuidv7() }],
  ["another column", { label: "connection.config" }],
  ["another table", { label: "integration.client" }],
  ["a newer revision of its row", { revision: 4 }],
  ["an older revision of its row", { revision: 2 }],
])("bad case 12: a value moved to %s does not open", (_, elsewhere) => {
  const sealed = sealValue(key, "secret", place, ivs);
  expect(() => openValue(key, sealed, { ...place, ...elsewhere })).toThrow(INVALID);
});

test.each<[string, (sealed: Buffer) => Buffer]>([
  ["an empty value", () => Buffer.alloc(0)],
  ["a header alone", (sealed) => sealed.subarray(0, 17)],
  ["no ciphertext", (sealed) => sealed.subarray(0, 45)],
  ["a tag cut to 12 bytes", (sealed) => Buffer.concat([sealed.subarray(0, 41), sealed.subarray(45)])],
  ["a tag cut to 4 bytes", (sealed) => Buffer.concat([sealed.subarray(0, 33), sealed.subarray(45)])],
  ["an IV of 16 bytes", (sealed) => Buffer.concat([sealed.subarray(0, 29), Buffer.alloc(4), sealed.subarray(29)])],
  ["a ciphertext that lost its last byte", (sealed) => sealed.subarray(0, -1)],
  ["a ciphertext with a byte more", (sealed) => Buffer.concat([sealed, Buffer.of(0)])],
  ["a format version of the future", (sealed) => Buffer.concat([Buffer.of(2), sealed.subarray(1)])],
  ["the plaintext itself", () => Buffer.from('{"type":"API_KEY","apiKey":"0123456789012345678901234567890123456789"}')],
])("bad case 12: %s is refused, never read as plaintext", (_, broken) => {
  const sealed = sealValue(key, "a secret that is long enough to be cut", place, ivs);
  expect(() => openValue(key, broken(sealed), place)).toThrow(INVALID);
});

test("bad case 12: no single flipped bit goes unnoticed", () => {
  const sealed = sealValue(key, "secret", place, ivs);
  fc.assert(
    fc.property(fc.nat({ max: sealed.length * 8 - 1 }), (bit) => {
      const flipped = Buffer.from(sealed);
      flipped.writeUInt8(flipped.readUInt8(bit >> 3) ^ (1 << (bit & 7)), bit >> 3);
      expect(() => openValue(key, flipped, place)).toThrow(INVALID);
    }),
  );
});

test("bad case 12: a value does not open with another data key, not even one that claims its id", () => {
  const sealed = sealValue(key, "secret", place, ivs);
  expect(() => openValue(importDataKey(uuidv7(), generateDataKey()), sealed, place)).toThrow(INVALID);
  expect(() => openValue(importDataKey(key.id, generateDataKey()), sealed, place)).toThrow(INVALID);
});

test("an error says which value it is about and holds nothing of it", () => {
  const sealed = sealValue(key, "canary-6e1f", { ...place, revision: 9 }, ivs);
  const error = thrownBy(() => openValue(key, sealed, place));
  expect(error).toMatchObject({ details: place });
  expect(`${String(error)} ${JSON.stringify(error)}`).not.toContain("canary");
  expect(error).toHaveProperty("cause", expect.any(Error));
});

test("nothing is not sealed, and neither is anything for a place that is none", () => {
  expect(() => sealValue(key, "", place, ivs)).toThrow(INVALID);
  expect(() => sealValue(key, "secret", { ...place, rowId: "acme" }, ivs)).toThrow(INVALID);
});

test("a data key has 32 bytes", () => {
  expect(() => importDataKey(uuidv7(), Buffer.alloc(31))).toThrow(
    expect.objectContaining({ code: "encryption_key_invalid" }),
  );
});

test("two lists of fields that differ never have the same bytes", () => {
  const fields = fc.array(
    fc.uint8Array({ maxLength: 6 }).map((bytes) => Buffer.from(bytes)),
    { maxLength: 5 },
  );
  fc.assert(
    fc.property(fields, fields, (a, b) => {
      const isSame = a.length === b.length && a.every((field, index) => b[index]?.equals(field) === true);
      expect(lengthPrefixed(a).equals(lengthPrefixed(b))).toBe(isSame);
    }),
  );
});

test("two places that differ never have the same additional data", () => {
  const places = fc.record<SealedPlace>({
    label: fc.constantFrom<SealedPlace["label"]>(
      "connection.config",
      "connection.credentials",
      "environment.variables",
    ),
    environmentId: fc.uuid(),
    rowId: fc.uuid(),
    revision: fc.maxSafeNat(),
  });
  fc.assert(
    fc.property(places, places, (a, b) => {
      expect(additionalData(a).equals(additionalData(b))).toBe(JSON.stringify(a) === JSON.stringify(b));
    }),
  );
});

function thrownBy(work: () => unknown): unknown {
  try {
    work();
  } catch (thrown) {
    return thrown;
  }
  return undefined;
}
