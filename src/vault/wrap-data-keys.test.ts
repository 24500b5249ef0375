import { expect, test } from "vitest";
import { createTestVault, storeExample, type TestVault } from "../../test/support/vault.ts";
import { createKeyEncryptionKeys, generateKeyEncryptionKey, type KeyEncryptionKeys } from "../crypto/kek.ts";
import { Secret } from "../crypto/secret.ts";
import type { Vault } from "./context.ts";
import { listEncryptionKeys } from "./list-encryption-keys.ts";
import { readConnection } from "./read-connection.ts";
import { retireEncryptionKey } from "./retire-encryption-key.ts";
import { openVault } from "./vault.ts";
import { wrapDataKeys } from "./wrap-data-keys.ts";

const SILENT = { missing: () => undefined, made: () => undefined };
const NEVER = new AbortController().signal;

test("after a roll a process that has only the new key reads everything, also what was stored on the way", async () => {
  await using context = await createTestVault();
  const before = await storeExample(context.vault);
  const { both, newText } = await addKey(context);
  const during = await storeExample(context.vault);

  expect(await wrapDataKeys(both, SILENT, NEVER)).toEqual({
    completed: [both.keys.ids[0]],
    unreadable: 0,
    retired: [],
  });
  const onlyNew = await openVault({ database: context.database, keys: keysOf(newText) });
  for (const { keyDigest } of [before, during])
    expect(await readConnection(onlyNew, { ...ACME, keyDigest })).toMatchObject({ kind: "found" });
});

test("a data key that an old process made after the roll was complete is wrapped by the next turn", async () => {
  await using context = await createTestVault();
  await storeExample(context.vault);
  const { both, newText } = await addKey(context);
  await wrapDataKeys(both, SILENT, NEVER);
  const late = await storeExample(context.vault);
  const onlyNew = await openVault({ database: context.database, keys: keysOf(newText) });
  await expect(readConnection(onlyNew, { ...ACME, keyDigest: late.keyDigest })).rejects.toMatchObject({
    code: "encryption_key_unknown",
  });

  expect(await wrapDataKeys(both, SILENT, NEVER)).toMatchObject({ completed: [] });
  expect(await readConnection(onlyNew, { ...ACME, keyDigest: late.keyDigest })).toMatchObject({ kind: "found" });
});

test("several processes at once wrap each data key once under each key, and one of them tells that all is done", async () => {
  await using context = await createTestVault();
  await Promise.all(Array.from({ length: 30 }, () => storeExample(context.vault)));
  const { both } = await addKey(context);
  const made: number[] = [];
  const results = await Promise.all(
    [1, 2, 3].map(() => wrapDataKeys(both, { ...SILENT, made: (count) => made.push(count) }, NEVER)),
  );
  expect(results.flatMap(({ completed }) => completed)).toEqual([both.keys.ids[0]]);
  expect(made.reduce((sum, count) => sum + count, 0)).toBe(30);
  expect(await wrappingsOf(context)).toEqual(Object.fromEntries(both.keys.ids.map((id) => [id, 30])));
});

test("progress goes from all that is missing to nothing, and a turn with nothing to do writes nothing", async () => {
  await using context = await createTestVault();
  await Promise.all(Array.from({ length: 5 }, () => storeExample(context.vault)));
  const { both } = await addKey(context);
  const seen: number[] = [];
  const progress = { missing: (count: number) => seen.push(count), made: () => undefined };
  await wrapDataKeys(both, progress, NEVER);
  expect(seen).toEqual([5, 0]);
  const before = await context.database.query("select xmin, * from keystead.key_encryption_keys order by key_id");
  await wrapDataKeys(both, progress, NEVER);
  expect(seen).toEqual([5, 0, 0]);
  expect(await context.database.query("select xmin, * from keystead.key_encryption_keys order by key_id")).toEqual(
    before,
  );
});

test("one data key that no configured key opens is counted and does not hold up the others", async () => {
  await using context = await createTestVault();
  const lost = await storeExample(context.vault);
  await storeExample(context.vault);
  await context.database.query("delete from keystead.data_key_wrappings where environment_id = $1", [
    lost.environmentId,
  ]);
  const { both } = await addKey(context);
  expect(await wrapDataKeys(both, SILENT, NEVER)).toMatchObject({ completed: [], unreadable: 1 });
  expect(await wrappingsOf(context)).toEqual(Object.fromEntries(both.keys.ids.map((id) => [id, 1])));
});

test("bad case 13: keys swapped in the middle of a roll, the old one as the current: everything is read and the roll goes on", async () => {
  await using context = await createTestVault();
  const { keyDigest } = await storeExample(context.vault);
  const newText = generateKeyEncryptionKey();
  const swapped = await openVault({ database: context.database, keys: keysOf(context.keyText, newText) });
  const [, newId] = swapped.keys.ids;
  expect(await wrapDataKeys(swapped, SILENT, NEVER)).toMatchObject({ completed: [newId] });
  expect(await readConnection(swapped, { ...ACME, keyDigest })).toMatchObject({ kind: "found" });
});

test("bad case 13: a new key without the old one is refused, and the message says where the old one goes", async () => {
  await using context = await createTestVault();
  await expect(
    openVault({ database: context.database, keys: keysOf(generateKeyEncryptionKey()) }),
  ).rejects.toMatchObject({
    code: "encryption_key_unknown",
    message: expect.stringContaining("put the old one into KEYSTEAD_PREVIOUS_ENCRYPTION_KEYS"),
  });
});

test("the old key cannot be retired before the roll is complete, while it is configured, or while a process had it just now", async () => {
  await using context = await createTestVault();
  await storeExample(context.vault);
  const { both, newText } = await addKey(context);
  const [newId = "", oldId = ""] = both.keys.ids;
  const retire = (configured: readonly string[]) => retireEncryptionKey(context.database, oldId, configured);

  await expect(retire([newId])).rejects.toMatchObject({
    code: "encryption_key_in_use",
    message: expect.stringContaining("only key that opens everything"),
  });
  await wrapDataKeys(both, SILENT, NEVER);
  await expect(retire(both.keys.ids)).rejects.toThrow("it is configured here");
  await expect(retire([newId])).rejects.toThrow("a running process had it configured");
  await forgetConfigured(context);
  const late = await storeExample(context.vault);
  await expect(retire([newId])).rejects.toThrow("1 data keys are wrapped by it alone");

  await wrapDataKeys(both, SILENT, NEVER);
  await forgetConfigured(context);
  expect(await retire([newId])).toBe(2);
  const onlyNew = await openVault({ database: context.database, keys: keysOf(newText) });
  expect(await readConnection(onlyNew, { ...ACME, keyDigest: late.keyDigest })).toMatchObject({ kind: "found" });
});

test("a retired key opens no process and wraps nothing again, not even where it is still configured", async () => {
  await using context = await createTestVault();
  const { both, newText, newId } = await rolled(context);

  await expect(openVault({ database: context.database, keys: keysOf(context.keyText) })).rejects.toMatchObject({
    code: "encryption_key_unknown",
    message: expect.stringContaining("was retired"),
  });
  const rolledBack = await openVault({ database: context.database, keys: keysOf(context.keyText, newText) });
  expect(await wrapDataKeys(rolledBack, SILENT, NEVER)).toEqual({
    completed: [],
    unreadable: 0,
    retired: both.keys.ids.filter((id) => id !== newId),
  });
  expect(await wrappingsOf(context)).toEqual({ [newId]: 1 });
});

test("a process that still runs with the retired key alone stores no environment under it", async () => {
  await using context = await createTestVault();
  const { newId } = await rolled(context);
  // Its own vault was opened with the old key and goes on with it.
  await expect(storeExample(context.vault)).rejects.toMatchObject({ code: "encryption_key_unknown" });
  expect(await wrappingsOf(context)).toEqual({ [newId]: 1 });
});

test("a new key that was given up before it wrapped everything can be retired", async () => {
  await using context = await createTestVault();
  await storeExample(context.vault);
  const { both } = await addKey(context);
  // Made while both were configured: so there is a wrapping, but the key is not known.
  const [newId = "", oldId = ""] = both.keys.ids;
  await context.database.query(
    `insert into keystead.data_key_wrappings (environment_id, data_key_id, key_id, wrapped)
     select environment_id, data_key_id, $1, wrapped from keystead.data_key_wrappings`,
    [newId],
  );
  expect(await retireEncryptionKey(context.database, newId, [oldId])).toBe(1);
  expect((await listEncryptionKeys(context.database, [oldId])).keys).toMatchObject([
    { keyId: oldId, state: "known", configured: "current", keptBecause: "it is the only key that opens everything" },
    { keyId: newId, state: "retired", dataKeys: 0 },
  ]);
});

test("both ends of a key's life are in the audit log, with its fingerprint", async () => {
  await using context = await createTestVault();
  const { both } = await rolled(context);
  const [newId, oldId] = both.keys.ids;
  const events = await context.database.query(
    "select action, fields from keystead.audit_events where action like 'encryption-key.%' order by event_id",
  );
  expect(events).toEqual([
    { action: "encryption-key.introduced", fields: [newId] },
    { action: "encryption-key.retired", fields: [oldId] },
  ]);
});

const ACME = { providerConfigKey: "github", connectionId: "acme" };

function keysOf(current: string, ...previous: string[]): KeyEncryptionKeys {
  return createKeyEncryptionKeys(
    new Secret(current),
    previous.map((text) => new Secret(text)),
  );
}

/** A process that has a new key beside the old one. */
async function addKey(context: TestVault): Promise<{ both: Vault; newText: string }> {
  const newText = generateKeyEncryptionKey();
  return { both: await openVault({ database: context.database, keys: keysOf(newText, context.keyText) }), newText };
}

/** One environment, and a roll that is over: the old key is retired. */
async function rolled(context: TestVault): Promise<{ both: Vault; newText: string; newId: string }> {
  await storeExample(context.vault);
  const { both, newText } = await addKey(context);
  await wrapDataKeys(both, SILENT, NEVER);
  await forgetConfigured(context);
  const [newId = "", oldId = ""] = both.keys.ids;
  await retireEncryptionKey(context.database, oldId, [newId]);
  return { both, newText, newId };
}

/** As if the last process that had a key had ended an hour ago. */
async function forgetConfigured({ database }: TestVault): Promise<void> {
  await database.query("update keystead.key_encryption_keys set configured_at = now() - interval '1 hour'");
}

async function wrappingsOf({ database }: TestVault): Promise<Record<string, number>> {
  const rows = await database.query<{ key_id: string; n: number }>(
    "select key_id, count(*) as n from keystead.data_key_wrappings group by key_id",
  );
  return Object.fromEntries(rows.map(({ key_id, n }) => [key_id, n]));
}
