import { expect, test } from "vitest";
import { query, withClient } from "../../test/support/database.ts";
import { actorOf, createTestVault, storeParents, type TestVault } from "../../test/support/vault.ts";
import { describeEnvironments } from "./describe-environments.ts";
import { endExpiredKeys } from "./end-expired-keys.ts";
import { rotateSecretKey } from "./rotate-secret-key.ts";
import { softDeleteEnvironment } from "./soft-delete-environment.ts";
import { storeApiKeys } from "./store-api-keys.ts";

const PURGER = { kind: "system", name: "purger" } as const;

const key = (name: string, expiresAfterSeconds?: number) => ({
  name,
  scopes: ["connections:list"],
  connectionSelector: undefined,
  expiresAfterSeconds,
  rotationToken: undefined,
});

/** An environment with its own key, one named key that expires and one that does not. */
async function storeKeys({ vault }: TestVault) {
  const { environmentId, environment } = await storeParents(vault);
  const { owner } = environment;
  await storeApiKeys(vault, { environmentId, owner, keys: [key("ending", 3_600), key("lasting")] });
  return { environmentId, owner };
}

async function letAllKeysEnd({ ownerUrl }: TestVault): Promise<void> {
  await query(ownerUrl, "update keystead.key_digests set expires_at = now() where expires_at is not null");
}

async function sealedKeys({ database }: TestVault): Promise<string[]> {
  const rows = await database.query<{ name: string }>("select name from keystead.secret_keys order by name");
  return rows.map(({ name }) => name);
}

function endsOf({ database }: TestVault): Promise<object[]> {
  return database.query(
    "select environment_id, actor, fields from keystead.audit_events where action = 'secret-key.ended'",
  );
}

test("a named key that has expired is erased without a controller, audited once with its name, and stays in the list", async () => {
  await using context = await createTestVault();
  const { environmentId, owner } = await storeKeys(context);
  await endExpiredKeys(context.vault, PURGER);
  expect(await sealedKeys(context), "before its end").toEqual(["ending", "lasting", "main"]);

  await letAllKeysEnd(context);
  await Promise.all([endExpiredKeys(context.vault, PURGER), endExpiredKeys(await context.another(), PURGER)]);
  expect(await sealedKeys(context)).toEqual(["lasting", "main"]);
  expect((await describeEnvironments(context.vault, [owner.uid])).get(owner.uid)).toMatchObject({
    apiKeys: [
      { name: "ending", fingerprint: undefined },
      { name: "lasting", fingerprint: expect.any(String) },
    ],
  });
  expect(await endsOf(context)).toEqual([{ environment_id: environmentId, actor: "purger", fields: ["ending"] }]);
});

test("keys that were replaced are erased after their grace period, also of an environment that is deleted", async () => {
  await using context = await createTestVault();
  const { environmentId, owner } = await storeKeys(context);
  const cause = { kind: "token", token: "1" } as const;
  await rotateSecretKey(context.vault, { environmentId, owner, cause, graceSeconds: 60 });
  await rotateSecretKey(context.vault, { environmentId, name: "lasting", owner, cause, graceSeconds: 60 });
  await softDeleteEnvironment(context.vault, owner.uid, actorOf(owner));

  await letAllKeysEnd(context);
  await endExpiredKeys(context.vault, PURGER);
  expect(await sealedKeys(context)).toEqual(["lasting", "main"]);
  expect(await endsOf(context)).toHaveLength(3);
});

test("a key whose end is moved at the same moment is left alone", async () => {
  await using context = await createTestVault();
  await storeKeys(context);
  await letAllKeysEnd(context);
  await withClient(context.ownerUrl, async (client) => {
    await client.query("begin");
    await client.query(
      "update keystead.key_digests set expires_at = now() + interval '1 hour' where expires_at is not null",
    );
    await endExpiredKeys(context.vault, PURGER);
    await client.query("commit");
  });
  await endExpiredKeys(context.vault, PURGER);
  expect(await sealedKeys(context)).toEqual(["ending", "lasting", "main"]);
});

test("an environment's own current key is never erased, even if its digest had an end", async () => {
  await using context = await createTestVault();
  await storeParents(context.vault);
  await query(context.ownerUrl, "update keystead.key_digests set expires_at = now() - interval '1 hour'");
  await endExpiredKeys(context.vault, PURGER);
  expect(await sealedKeys(context)).toEqual(["main"]);
});
