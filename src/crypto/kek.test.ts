import { randomBytes } from "node:crypto";
import { expect, test } from "vitest";
import { createKeyEncryptionKeys, encryptionKeyProblem, generateKeyEncryptionKey } from "./kek.ts";
import { Secret } from "./secret.ts";
import { uuidv7 } from "./uuid.ts";

const place = { environmentId: uuidv7(), dataKeyId: uuidv7() };
const dataKey = randomBytes(32);
const bytes = randomBytes(32);

test("a generated key wraps a data key and gives it back", async () => {
  const keys = createKeyEncryptionKeys(new Secret(generateKeyEncryptionKey()));
  const [id = ""] = keys.ids;
  const wrapped = await keys.wrap(id, dataKey, place);
  expect(wrapped.includes(dataKey)).toBe(false);
  expect(await keys.unwrap(id, wrapped, place)).toEqual(dataKey);
});

test.each([
  ["as openssl prints it, with a line feed", `${bytes.toString("base64")}\n`],
  ["from a file written on Windows", `${bytes.toString("base64")}\r\n`],
  ["with spaces around", `  ${bytes.toString("base64")} `],
])("bad case 13: one key has one fingerprint, %s", (_, text) => {
  const expected = createKeyEncryptionKeys(new Secret(bytes.toString("base64"))).ids;
  expect(createKeyEncryptionKeys(new Secret(text)).ids).toEqual(expected);
  expect(expected[0]).toMatch(/^[0-9a-f]{16}$/);
});

test.each([
  ["no key", undefined],
  ["an empty key", ""],
  ["a line feed alone", "\n"],
])("bad case 13: %s is refused with a message that says how to make a key", (_, text) => {
  const secret = text === undefined ? undefined : new Secret(text);
  const message = expect.stringContaining("openssl rand -base64 32");
  expect(() => createKeyEncryptionKeys(secret)).toThrow(
    expect.objectContaining({ code: "encryption_key_missing", message }),
  );
});

test.each([
  ["31 bytes", randomBytes(31).toString("base64"), "decodes to 31 bytes instead of 32"],
  ["33 bytes", randomBytes(33).toString("base64"), "decodes to 33 bytes instead of 32"],
  ["a password", "correct horse battery staple correct horse", "is not base64"],
  ["URL-safe base64", Buffer.alloc(32, 0xff).toString("base64url"), "is URL-safe base64"],
  ["URL-safe base64 with padding", `${"_".repeat(42)}8=`, "is URL-safe base64"],
  ["base64 without padding", Buffer.alloc(32, 1).toString("base64").slice(0, -1), "is not base64"],
  ["hexadecimal", bytes.toString("hex"), "decodes to 48 bytes instead of 32"],
  [
    "base64 with a line feed inside",
    `${bytes.toString("base64").slice(0, 20)}\n${bytes.toString("base64").slice(20)}`,
    "is not base64",
  ],
  ["base64 with stray bits at its end", `${"A".repeat(42)}B=`, "stray bits"],
])("bad case 13: %s is refused with what it is, what is expected, and how to make a key", (_, text, fault) => {
  const problem = encryptionKeyProblem(text) ?? "";
  expect(problem).toContain(fault);
  expect(problem).toContain("has to be 32 bytes in standard base64");
  expect(problem).toContain("openssl rand -base64 32");
  expect(() => createKeyEncryptionKeys(new Secret(text))).toThrow(
    expect.objectContaining({ code: "encryption_key_invalid", message: `KEYSTEAD_ENCRYPTION_KEY ${problem}` }),
  );
});

test("bad case 13: no part of a refused key is in the message", () => {
  const text = "canary6e1f".repeat(4);
  try {
    createKeyEncryptionKeys(new Secret(text));
    expect.unreachable();
  } catch (thrown) {
    expect(String(thrown)).not.toContain("canary");
  }
});

test("the message names the setting that holds the wrong key", () => {
  const current = new Secret(generateKeyEncryptionKey());
  expect(() => createKeyEncryptionKeys(current, [new Secret("short")])).toThrow(
    expect.objectContaining({ message: expect.stringContaining("KEYSTEAD_PREVIOUS_ENCRYPTION_KEYS") }),
  );
});

test("of several keys the current one comes first, and one given twice counts once", () => {
  const [a, b] = [generateKeyEncryptionKey(), generateKeyEncryptionKey()];
  const keys = createKeyEncryptionKeys(new Secret(a), [new Secret(b), new Secret(`${a}\n`)]);
  expect(keys.ids).toEqual([
    ...createKeyEncryptionKeys(new Secret(a)).ids,
    ...createKeyEncryptionKeys(new Secret(b)).ids,
  ]);
});

test("any configured key unwraps what it wrapped, and none what another did", async () => {
  const [a, b] = [new Secret(generateKeyEncryptionKey()), new Secret(generateKeyEncryptionKey())];
  const both = createKeyEncryptionKeys(a, [b]);
  const onlyB = createKeyEncryptionKeys(b);
  const [idA = "", idB = ""] = both.ids;
  expect(await onlyB.unwrap(idB, await both.wrap(idB, dataKey, place), place)).toEqual(dataKey);
  const wrappedByA = await both.wrap(idA, dataKey, place);
  await expect(onlyB.unwrap(idA, wrappedByA, place)).rejects.toMatchObject({ code: "encryption_key_unknown" });
  await expect(both.unwrap(idB, wrappedByA, place)).rejects.toMatchObject({ code: "sealed_value_invalid" });
});

test("a wrapping opens only for its environment and data key, whole and unchanged", async () => {
  const keys = createKeyEncryptionKeys(new Secret(generateKeyEncryptionKey()));
  const [id = ""] = keys.ids;
  const wrapped = await keys.wrap(id, dataKey, place);
  const refused = { code: "sealed_value_invalid" };
  await expect(keys.unwrap(id, wrapped, { ...place, environmentId: uuidv7() })).rejects.toMatchObject(refused);
  await expect(keys.unwrap(id, wrapped, { ...place, dataKeyId: uuidv7() })).rejects.toMatchObject(refused);
  await expect(keys.unwrap(id, wrapped.subarray(0, 29), place)).rejects.toMatchObject(refused);
  await expect(keys.unwrap(id, wrapped.subarray(0, -1), place)).rejects.toMatchObject(refused);
  await expect(keys.unwrap(id, Buffer.alloc(0), place)).rejects.toMatchObject(refused);
});
