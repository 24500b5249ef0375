import { expect, test } from "vitest";
import { createDatabase } from "../../test/support/servers.ts";
import { createTestVault, storeExample } from "../../test/support/vault.ts";
import { createKeyEncryptionKeys, generateKeyEncryptionKey, type KeyEncryptionKeys } from "../crypto/kek.ts";
import { Secret } from "../crypto/secret.ts";
import { openDatabase } from "../db/database.ts";
import { readConnection } from "./read-connection.ts";
import { openVault } from "./vault.ts";

test("bad case 13: the first key on an empty database becomes the known one, and another is refused by name", async () => {
  await using context = await openEmpty();
  const [right, wrong] = [newKeys(), newKeys()];
  await openVault({ database: context.database, keys: right });
  await openVault({ database: context.database, keys: right });
  const refused = openVault({ database: context.database, keys: wrong });
  await expect(refused).rejects.toMatchObject({
    code: "encryption_key_unknown",
    details: { expected: right.ids, given: wrong.ids },
    message: expect.stringMatching(new RegExp(`${right.ids[0]}.*${wrong.ids[0]}`, "s")),
  });
});

test("bad case 13: of two replicas with different keys on an empty database at the same instant one is refused", async () => {
  for (let round = 0; round < 10; round += 1) {
    await using context = await openEmpty();
    const keys = [newKeys(), newKeys()];
    const outcomes = await Promise.allSettled(keys.map((own) => openVault({ database: context.database, keys: own })));
    const winner = outcomes.findIndex(({ status }) => status === "fulfilled");
    const loser = outcomes.findIndex(({ status }) => status === "rejected");
    expect(new Set([winner, loser])).toEqual(new Set([0, 1]));
    expect(outcomes[loser]).toMatchObject({
      reason: { code: "encryption_key_unknown", details: { expected: keys[winner]?.ids, given: keys[loser]?.ids } },
    });
  }
});

test("bad case 13: replicas with the same key on an empty database at the same instant all start", async () => {
  await using context = await openEmpty();
  const text = generateKeyEncryptionKey();
  await Promise.all([1, 2, 3, 4].map(() => openVault({ database: context.database, keys: newKeys(text) })));
  expect(await context.database.query("select count(*) as n from keystead.key_encryption_keys")).toEqual([{ n: 1 }]);
});

test("a new key beside a known one starts, and is not taken for known before it wraps every data key", async () => {
  await using context = await createTestVault();
  await storeExample(context.vault);
  const added = generateKeyEncryptionKey();
  await openVault({ database: context.database, keys: newKeys(added, context.keyText) });
  await expect(openVault({ database: context.database, keys: newKeys(added) })).rejects.toMatchObject({
    code: "encryption_key_unknown",
  });
});

test("a database without data keys takes the new key at once", async () => {
  await using context = await openEmpty();
  const [first, second] = [generateKeyEncryptionKey(), generateKeyEncryptionKey()];
  await openVault({ database: context.database, keys: newKeys(first) });
  await openVault({ database: context.database, keys: newKeys(second, first) });
  await openVault({ database: context.database, keys: newKeys(second) });
});

test("a check value that the key did not make is refused: a fingerprint alone proves nothing", async () => {
  await using context = await openEmpty();
  const keys = newKeys();
  await context.database.query("insert into keystead.key_encryption_keys (key_id, check_value) values ($1, $2)", [
    keys.ids[0] ?? "",
    Buffer.alloc(61, 1),
  ]);
  await expect(openVault({ database: context.database, keys })).rejects.toMatchObject({ code: "sealed_value_invalid" });
});

test("an environment whose data key no configured key wraps is an error that names both, and the others go on", async () => {
  await using context = await createTestVault();
  const lost = await storeExample(context.vault);
  const kept = await storeExample(context.vault);
  await context.database.query("delete from keystead.data_key_wrappings where environment_id = $1", [
    lost.environmentId,
  ]);
  await context.database.query(
    `insert into keystead.data_key_wrappings (environment_id, data_key_id, key_id, wrapped)
     select environment_id, data_key_id, 'retired-key', '' from keystead.data_keys where environment_id = $1`,
    [lost.environmentId],
  );
  const fresh = await context.another();
  const request = { providerConfigKey: "github", connectionId: "acme" };
  await expect(readConnection(fresh, { ...request, keyDigest: lost.keyDigest })).rejects.toMatchObject({
    code: "encryption_key_unknown",
    message: expect.stringContaining("retired-key"),
  });
  expect(await readConnection(fresh, { ...request, keyDigest: kept.keyDigest })).toMatchObject({ kind: "found" });
});

function newKeys(current = generateKeyEncryptionKey(), ...previous: string[]): KeyEncryptionKeys {
  return createKeyEncryptionKeys(
    new Secret(current),
    previous.map((text) => new Secret(text)),
  );
}

async function openEmpty() {
  const { url, ...testDatabase } = await createDatabase();
  const database = openDatabase({ url: new Secret(url), applicationName: "keystead-test", poolSize: 4 });
  return {
    database,
    async [Symbol.asyncDispose]() {
      await database[Symbol.asyncDispose]();
      await testDatabase[Symbol.asyncDispose]();
    },
  };
}
