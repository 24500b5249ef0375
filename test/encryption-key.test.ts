import { randomBytes } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { createKeyEncryptionKeys } from "../src/crypto/kek.ts";
import { Secret } from "../src/crypto/secret.ts";
import { query } from "./support/database.ts";
import { type KeysteadProcess, startProcess } from "./support/keystead-process.ts";
import { createDatabase, createEmptyDatabase } from "./support/servers.ts";

// What the operator's key does to a start: nothing is served or stored without it, and a wrong one is told apart by its
// fingerprint. The API is enough to show it, because both processes open the vault by the same lines.

const database = await createDatabase();
const directory = mkdtempSync(join(tmpdir(), "keystead-key-"));
const RIGHT = newKey();
const processes: KeysteadProcess[] = [];

afterAll(async () => {
  await Promise.all(processes.map((process) => process[Symbol.asyncDispose]()));
  await database[Symbol.asyncDispose]();
  rmSync(directory, { recursive: true });
});

function newKey(): string {
  return randomBytes(32).toString("base64");
}

function fingerprintOf(key: string): string {
  return createKeyEncryptionKeys(new Secret(key)).ids[0] ?? "";
}

function start(settings: Readonly<Record<string, string>>, url = database.url): KeysteadProcess {
  const process = startProcess(["api"], {
    DATABASE_URL: url,
    KEYSTEAD_API_PORT: "0",
    KEYSTEAD_API_HOST: "127.0.0.1",
    KEYSTEAD_METRICS_PORT: "0",
    KEYSTEAD_METRICS_HOST: "127.0.0.1",
    KEYSTEAD_LOG_FORMAT: "json",
    ...settings,
  });
  processes.push(process);
  return process;
}

function fileWith(text: string): string {
  const path = join(directory, randomBytes(4).toString("hex"));
  writeFileSync(path, text, { mode: 0o600 });
  return path;
}

test.each([
  { what: "no key", settings: {}, says: /must be set.*openssl rand -base64 32/ },
  { what: "an empty key", settings: { KEYSTEAD_ENCRYPTION_KEY: "" }, says: /must be set/ },
  { what: "31 bytes", settings: { KEYSTEAD_ENCRYPTION_KEY: randomBytes(31).toString("base64") }, says: /31 bytes/ },
  { what: "33 bytes", settings: { KEYSTEAD_ENCRYPTION_KEY: randomBytes(33).toString("base64") }, says: /33 bytes/ },
  { what: "URL-safe base64", settings: { KEYSTEAD_ENCRYPTION_KEY: `${"_".repeat(42)}8=` }, says: /URL-safe base64/ },
  { what: "text that is not base64", settings: { KEYSTEAD_ENCRYPTION_KEY: "correct horse battery!" }, says: /base64/ },
  { what: "a file that is not there", settings: { KEYSTEAD_ENCRYPTION_KEY_FILE: "/nowhere" }, says: /cannot be read/ },
])("bad case 13: with $what it exits 1, says what to do, and does not repeat the value", async ({ settings, says }) => {
  const process = start(settings);

  expect(await process.exit).toBe(1);
  expect(process.output()).toMatch(/KEYSTEAD_ENCRYPTION_KEY/);
  expect(process.output()).toMatch(says);
  for (const value of Object.values(settings)) {
    if (value.length > 10) expect(process.output()).not.toContain(value);
  }
});

test("bad case 13: two replicas with one key on an empty database at the same instant both start", async () => {
  const both = [start({ KEYSTEAD_ENCRYPTION_KEY: RIGHT }), start({ KEYSTEAD_ENCRYPTION_KEY: RIGHT })];
  await Promise.all(both.map((process) => process.logged("the API is served")));

  const known = await query(database.ownerUrl, "select key_id from keystead.key_encryption_keys");
  expect(known).toEqual([{ key_id: fingerprintOf(RIGHT) }]);
});

test("bad case 13: a wrong key exits 1 with the expected and the given fingerprint, and is never ready", async () => {
  const wrong = newKey();
  const process = start({ KEYSTEAD_ENCRYPTION_KEY: wrong });

  expect(await process.exit).toBe(1);
  expect(process.output()).toContain("encryption_key_unknown");
  expect(process.output()).toContain(`encrypted under key ${fingerprintOf(RIGHT)}`);
  expect(process.output()).toContain(`the configured key is ${fingerprintOf(wrong)}`);
  expect(process.output()).not.toContain("the API is served");
  expect(process.output()).not.toContain(wrong);
});

test("bad case 13: a line feed and blanks around a key do not count, in a variable or in a file", async () => {
  const ways = [{ KEYSTEAD_ENCRYPTION_KEY: `${RIGHT}\n` }, { KEYSTEAD_ENCRYPTION_KEY_FILE: fileWith(` ${RIGHT}\r\n`) }];
  await Promise.all(ways.map((settings) => start(settings).logged("the API is served")));
});

test("bad case 13: of two replicas with different keys on an empty database one starts and the other exits 1", async () => {
  await using empty = await createDatabase();
  const keys = [newKey(), newKey()];
  const both = keys.map((key) => start({ KEYSTEAD_ENCRYPTION_KEY: key }, empty.url));

  // The loser ends by itself; only then is it certain which one that is.
  const loser = await Promise.race(both.map((process) => process.exit.then((status) => ({ process, status }))));
  expect(loser.status).toBe(1);
  expect(loser.process.output()).toContain("encryption_key_unknown");
  const winner = both.find((process) => process !== loser.process);
  await winner?.logged("the API is served");
  const [known] = await query<{ key_id: string }>(empty.ownerUrl, "select key_id from keystead.key_encryption_keys");
  expect(keys.map(fingerprintOf)).toContain(known?.key_id);
  await winner?.end();
});

test("a database without the schema is refused with what to run, not waited for", async () => {
  await using empty = await createEmptyDatabase();
  const process = start({ KEYSTEAD_ENCRYPTION_KEY: RIGHT }, empty.url);

  expect(await process.exit).toBe(1);
  expect(process.output()).toContain("schema_outdated");
  expect(process.output()).toContain("keystead migrate");
});
