import { expect, test } from "vitest";
import { createTestVault, desiredEnvironment, newOwner } from "../../test/support/vault.ts";
import { createKeyEncryptionKeys, generateKeyEncryptionKey } from "../crypto/kek.ts";
import { Secret } from "../crypto/secret.ts";
import { tokenDigest, tokenFingerprint, tokenKindOf } from "../crypto/token.ts";
import { describeEnvironments } from "./describe-environments.ts";
import { environmentDigestsOf, isSettledEnvironment } from "./environment.ts";
import { readEnvironmentSecretKey } from "./read-environment-secret-key.ts";
import { readEnvironmentVariables } from "./read-environment-variables.ts";
import { createReigningVault } from "./reigning-vault.ts";
import { storeEnvironment } from "./store-environment.ts";
import { openVault } from "./vault.ts";

test("a new environment has a secret key that opens it, a public key, and a data key of its own", async () => {
  await using context = await createTestVault();
  const stored = await storeEnvironment(context.vault, desiredEnvironment());
  const keyDigest = tokenDigest(stored.secretKey.reveal());
  expect(tokenKindOf(stored.secretKey.reveal())).toBe("secret-key");
  expect(tokenKindOf(stored.publicKey)).toBe("public-key");
  expect(stored).toMatchObject({ revision: 1, changed: true, secretKeyFingerprint: tokenFingerprint(keyDigest) });
  expect(await readEnvironmentVariables(context.vault, { keyDigest })).toMatchObject({ kind: "found" });
  const other = await storeEnvironment(context.vault, desiredEnvironment());
  const keys = await context.database.query("select distinct data_key_id, environment_id from keystead.data_keys");
  expect(keys).toHaveLength(2);
  expect(other.secretKey.reveal()).not.toBe(stored.secretKey.reveal());
});

test("storing it again gives the same key and writes nothing", async () => {
  await using context = await createTestVault();
  const desired = desiredEnvironment();
  const first = await storeEnvironment(context.vault, desired);
  const before = await context.database.query("select * from keystead.environments");
  const second = await storeEnvironment(context.vault, desired);
  expect(second).toMatchObject({
    id: first.id,
    revision: 1,
    changed: false,
    secretKeyIssuedAt: first.secretKeyIssuedAt,
  });
  expect(second.secretKey.reveal()).toBe(first.secretKey.reveal());
  expect(await context.database.query("select * from keystead.environments")).toEqual(before);
  expect((await readEnvironmentSecretKey(context.vault, first.id)).reveal()).toBe(first.secretKey.reveal());
});

test("changed variables are served at once; a change beside them leaves their bytes alone", async () => {
  await using context = await createTestVault();
  const desired = desiredEnvironment();
  const { id, secretKey } = await storeEnvironment(context.vault, desired);
  const variables = [{ name: "REGION", value: new Secret("us") }];
  expect(await storeEnvironment(context.vault, { ...desired, variables })).toMatchObject({
    id,
    revision: 2,
    changed: true,
  });
  const shortened = { ...desired, variables, retentionSeconds: 60, declaration: { a: 1 } };
  expect(await storeEnvironment(context.vault, shortened)).toMatchObject({ revision: 3, retentionSeconds: 60 });
  const read = await readEnvironmentVariables(context.vault, { keyDigest: tokenDigest(secretKey.reveal()) });
  expect(read.kind === "found" && read.variables.map(({ name, value }) => [name, value.reveal()])).toEqual([
    ["REGION", "us"],
  ]);
  expect(await context.database.query("select variables_revision, revision from keystead.environments")).toEqual([
    { variables_revision: 2, revision: 3 },
  ]);
  expect(
    await context.database.query(
      "select fields from keystead.audit_events where action = 'environment.updated' order by event_id",
    ),
  ).toEqual([{ fields: ["variables"] }, { fields: ["declaration"] }]);
});

test("variables that were not read stay; called unchanged although declared otherwise, they have to be read", async () => {
  await using context = await createTestVault();
  const desired = desiredEnvironment();
  await expect(storeEnvironment(context.vault, { ...desired, variables: "unchanged" })).rejects.toMatchObject({
    code: "row_changed",
  });
  const { id } = await storeEnvironment(context.vault, desired);
  const unread = { ...desired, variables: "unchanged" as const };
  expect(await storeEnvironment(context.vault, unread)).toMatchObject({ id, changed: false });
  await expect(storeEnvironment(context.vault, { ...unread, declaration: { a: 2 } })).rejects.toMatchObject({
    code: "row_changed",
    retryable: true,
  });
  await expect(storeEnvironment(context.vault, { ...desired, expectedRevision: 5 })).rejects.toMatchObject({
    code: "row_changed",
  });
});

test("a rotation token that is there at creation counts as handled", async () => {
  await using context = await createTestVault();
  const desired = desiredEnvironment({ rotationToken: "2026-11" });
  const { secretKey } = await storeEnvironment(context.vault, desired);
  const again = await storeEnvironment(context.vault, desired);
  expect(again).toMatchObject({ lastHandledRotation: "2026-11" });
  expect(again.secretKey.reveal()).toBe(secretKey.reveal());
});

test("describing and digesting tell that nothing has to be done, without a write and without a secret", async () => {
  await using context = await createTestVault();
  const desired = desiredEnvironment();
  const { id, secretKey, ...stored } = await storeEnvironment(context.vault, desired);
  const states = await describeEnvironments(context.vault, [desired.owner.uid, newOwner().uid]);
  expect([...states.keys()]).toEqual([desired.owner.uid]);
  const state = states.get(desired.owner.uid) ?? expect.unreachable();
  expect(state).toMatchObject({ id, secretKeyFingerprint: stored.secretKeyFingerprint });
  expect(JSON.stringify(state)).not.toContain(secretKey.reveal());
  const digests = await environmentDigestsOf(context.vault, id, { ...desired, variables: "unchanged" });
  expect(isSettledEnvironment(state, digests, [])).toBe(true);
  const edited = await environmentDigestsOf(context.vault, id, { ...desired, retentionSeconds: 1 });
  expect(isSettledEnvironment(state, edited, [])).toBe(false);
});

test("processes that store one environment for the first time end with one row and one key", async () => {
  await using context = await createTestVault();
  const processes = await Promise.all([context.another(), context.another(), context.another(), context.another()]);
  for (let round = 0; round < 10; round += 1) {
    const desired = desiredEnvironment();
    const stored = await Promise.all(processes.map((vault) => storeEnvironment(vault, desired)));
    expect(new Set(stored.map(({ id }) => id)).size).toBe(1);
    expect(new Set(stored.map(({ secretKey }) => secretKey.reveal())).size).toBe(1);
  }
  const counts = await context.database.query(
    `select (select count(*) from keystead.environments) as environments, (select count(*) from keystead.data_keys) as data_keys,
            (select count(*) from keystead.secret_keys) as secret_keys, (select count(*) from keystead.key_digests) as digests,
            (select count(*) from keystead.audit_events) as events`,
  );
  expect(counts).toEqual([{ environments: 10, data_keys: 10, secret_keys: 10, digests: 10, events: 10 }]);
});

test("with several keys configured a data key is wrapped under each, and a process with any of them reads it", async () => {
  await using context = await createTestVault();
  const added = generateKeyEncryptionKey();
  const both = createKeyEncryptionKeys(new Secret(added), [new Secret(context.keyText)]);
  const opened = await openVault({ database: context.database, keys: both });
  const rolling = createReigningVault(opened, context.vault.reign);
  const { id, secretKey } = await storeEnvironment(rolling, desiredEnvironment());
  const wrappings = await context.database.query(
    "select key_id from keystead.data_key_wrappings where environment_id = $1",
    [id],
  );
  expect(wrappings).toHaveLength(2);
  for (const text of [added, context.keyText]) {
    const vault = await openVault({ database: context.database, keys: createKeyEncryptionKeys(new Secret(text)) });
    expect((await readEnvironmentSecretKey(vault, id)).reveal()).toBe(secretKey.reveal());
  }
});

test("the key of an environment that does not exist cannot be read", async () => {
  await using context = await createTestVault();
  const unknown = readEnvironmentSecretKey(context.vault, "00000000-0000-7000-8000-000000000000");
  await expect(unknown).rejects.toMatchObject({ code: "environment_gone" });
});
