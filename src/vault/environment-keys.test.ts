import { expect, test } from "vitest";
import { createTestVault, storeExample } from "../../test/support/vault.ts";
import { generateDataKey, importDataKey, sealValue } from "../crypto/sealed-value.ts";
import { uuidv7 } from "../crypto/uuid.ts";
import { readConnection } from "./read-connection.ts";

test("a value under a data key that another process made since is read without a restart", async () => {
  await using context = await createTestVault();
  const { keyDigest, stored, environmentId } = await storeExample(context.vault);
  const request = { keyDigest, providerConfigKey: "github", connectionId: "acme" };
  await readConnection(context.vault, request);
  // What a rotation of the data key does.
  const newKey = importDataKey(uuidv7(), generateDataKey());
  const place = { environmentId, dataKeyId: newKey.id };
  await context.database.query("update keystead.data_keys set state = 'retired'");
  await context.database.query(
    "insert into keystead.data_keys (environment_id, data_key_id, state) values ($1, $2, 'active')",
    [environmentId, newKey.id],
  );
  const [keyId = ""] = context.vault.keys.ids;
  await context.database.query(
    "insert into keystead.data_key_wrappings (environment_id, data_key_id, key_id, wrapped) values ($1, $2, $3, $4)",
    [environmentId, newKey.id, keyId, await context.vault.keys.wrap(keyId, newKey.key.export(), place)],
  );
  const sealed = sealValue(
    newKey,
    '{"type":"API_KEY","apiKey":"re-encrypted"}',
    { label: "connection.credentials", environmentId, rowId: stored.id, revision: 1 },
    context.vault.ivs,
  );
  await context.database.query("update keystead.connections set credentials_sealed = $1", [sealed]);

  const read = await readConnection(context.vault, request);
  expect(read.kind === "found" && read.connection.credentials?.reveal()).toContain("re-encrypted");
});

test("keys that many callers need at once are loaded by one query and remembered", async () => {
  await using context = await createTestVault();
  const examples = await Promise.all(Array.from({ length: 20 }, () => storeExample(context.vault)));
  const fresh = await context.another();
  const first = await Promise.all(examples.map(({ environmentId }) => fresh.environmentKeys.of(environmentId)));
  const again = await Promise.all(examples.map(({ environmentId }) => fresh.environmentKeys.of(environmentId)));
  expect(new Set(first).size).toBe(20);
  for (const [index, keySet] of again.entries()) expect(keySet).toBe(first[index]);
});

test("keys of an environment that does not exist are not remembered as missing", async () => {
  await using context = await createTestVault();
  const id = uuidv7();
  await expect(context.vault.environmentKeys.of(id)).rejects.toMatchObject({ code: "environment_gone" });
  await expect(context.vault.environmentKeys.of(id)).rejects.toMatchObject({ code: "environment_gone" });
  const { environmentId } = await storeExample(context.vault);
  expect(await context.vault.environmentKeys.of(environmentId)).toHaveProperty("activeKey");
});
