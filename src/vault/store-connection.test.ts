import { expect, test } from "vitest";
import { createTestVault, storeExample } from "../../test/support/vault.ts";
import { readConnection } from "./read-connection.ts";
import { storeConnection } from "./store-connection.ts";

test("a stored connection is read back with the environment's key", async () => {
  await using context = await createTestVault();
  const { keyDigest, desired, stored } = await storeExample(context.vault);
  expect(stored).toMatchObject({ revision: 1, changed: true, credentialsType: "API_KEY" });

  const read = await readConnection(context.vault, { keyDigest, providerConfigKey: "github", connectionId: "acme" });

  expect(read).toMatchObject({ kind: "found", connection: { id: stored.id, tags: { team: "sales" } } });
  if (read.kind !== "found") return;
  expect(read.connection.credentials?.reveal()).toBe('{"type":"API_KEY","apiKey":"token-of-acme"}');
  expect(read.connection.config.reveal()).toBe('{"subdomain":"acme"}');
  expect(await storeConnection(context.vault, desired)).toMatchObject({ id: stored.id, revision: 1, changed: false });
});
