import { expect, test } from "vitest";
import { withClient } from "../../test/support/database.ts";
import { createTestVault, newOwner, storeExample, type TestVault } from "../../test/support/vault.ts";
import { adoptEnvironment } from "./adopt-environment.ts";
import { describeEnvironments } from "./describe-environments.ts";
import { rotateSecretKey } from "./rotate-secret-key.ts";
import { storeApiKeys } from "./store-api-keys.ts";

const REPORTING = {
  name: "reporting",
  scopes: ["connections:list"],
  connectionSelector: undefined,
  expiresAfterSeconds: 3_600,
  rotationToken: undefined,
};

async function storeNamed({ vault }: TestVault) {
  const example = await storeExample(vault);
  const { environmentId, environment } = example;
  const { owner } = environment;
  await storeApiKeys(vault, { environmentId, owner, keys: [REPORTING] });
  const cause = { kind: "token", token: "1" } as const;
  return { ...example, owner, rotation: { environmentId, name: REPORTING.name, owner, cause, graceSeconds: 0 } };
}

function namedKeys({ database }: TestVault): Promise<{ name: string }[]> {
  return database.query("select name from keystead.secret_keys where name <> 'main'");
}

/** Runs `start` against a row of the environment that somebody else has locked, and lets go once two wait for it. */
async function whileLocked({ ownerUrl, database }: TestVault, starts: readonly (() => Promise<unknown>)[]) {
  return withClient(ownerUrl, async (client) => {
    await client.query("begin");
    await client.query("select from keystead.environments for update");
    const running: Promise<unknown>[] = [];
    for (const start of starts) {
      running.push(start());
      await expect
        .poll(() => database.query("select from pg_locks where not granted"), { timeout: 20_000 })
        .toHaveLength(running.length);
    }
    await client.query("commit");
    return Promise.allSettled(running);
  });
}

test("a named key that is removed while it is rotated leaves no key that no list names", async () => {
  await using context = await createTestVault();
  const { environmentId, owner, rotation } = await storeNamed(context);
  const [rotator, remover] = [await context.another(), await context.another()];
  const ended = await whileLocked(context, [
    () => rotateSecretKey(rotator, rotation),
    () => storeApiKeys(remover, { environmentId, owner, keys: [] }),
  ]);
  expect(ended.map(({ status }) => status)).toEqual(["fulfilled", "fulfilled"]);
  expect(await namedKeys(context)).toEqual([]);
});

test("a rotation of a named key that waits for an adoption finds nothing of its own any more", async () => {
  await using context = await createTestVault();
  const { environmentId, keyDigest, rotation } = await storeNamed(context);
  const [rotator, adopter] = [await context.another(), await context.another()];
  const adoption = { environmentId, secretKeyDigest: keyDigest, owner: newOwner("successor") };
  const [adopted, rotated] = await whileLocked(context, [
    () => adoptEnvironment(adopter, adoption),
    () => rotateSecretKey(rotator, rotation),
  ]);
  expect(adopted).toMatchObject({ status: "fulfilled" });
  expect(rotated).toEqual({ status: "fulfilled", value: false });
});

test("the tokens of all keys of an adopting Environment count as handled", async () => {
  await using context = await createTestVault();
  const { environmentId, keyDigest } = await storeNamed(context);
  const owner = newOwner("successor");
  await adoptEnvironment(context.vault, {
    environmentId,
    secretKeyDigest: keyDigest,
    owner,
    rotationToken: "2",
    apiKeyTokens: { reporting: "3", unknown: "4" },
  });
  expect((await describeEnvironments(context.vault, [owner.uid])).get(owner.uid)).toMatchObject({
    lastHandledRotation: "2",
    apiKeys: [{ name: "reporting", lastHandledRotation: "3" }],
  });
});
