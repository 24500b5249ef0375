import { expect, test } from "vitest";
import { withClient } from "../../test/support/database.ts";
import { createTestVault, desiredEnvironment, type TestVault } from "../../test/support/vault.ts";
import type { Secret } from "../crypto/secret.ts";
import { tokenDigest, tokenFingerprint } from "../crypto/token.ts";
import type { Vault } from "./context.ts";
import { describeEnvironments, MAIN_SECRET_KEY } from "./describe-environments.ts";
import type { DesiredEnvironment, EnvironmentState } from "./environment.ts";
import { beginGrace, endSecretKey } from "./grace-period.ts";
import { listConnections } from "./list-connections.ts";
import { readSecretKeys } from "./read-environment-secret-key.ts";
import { rotateSecretKey, type SecretKeyRotation } from "./rotate-secret-key.ts";
import { storeEnvironment } from "./store-environment.ts";

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;

/** An environment, and what can be asked about it. */
async function stored(context: TestVault, changes: Partial<DesiredEnvironment> = {}) {
  const { vault } = context;
  const desired = desiredEnvironment(changes);
  const { id, secretKey } = await storeEnvironment(vault, desired);
  const { owner } = desired;
  return {
    id,
    owner,
    desired,
    secretKey,
    rotate: (by: Partial<SecretKeyRotation> & { token?: string } = {}) =>
      rotateSecretKey(vault, {
        environmentId: id,
        owner,
        cause: { kind: "token", token: by.token ?? "1" },
        graceSeconds: 0,
        ...by,
      }),
    state: async (): Promise<EnvironmentState> =>
      (await describeEnvironments(vault, [owner.uid])).get(owner.uid) ?? expect.unreachable(),
    keys: () => readSecretKeys(vault, id, MAIN_SECRET_KEY),
  };
}

async function opens(vault: Vault, key: Secret): Promise<boolean> {
  const { kind } = await listConnections(vault, { keyDigest: tokenDigest(key.reveal()), limit: 1, offset: 0 });
  return kind === "found";
}

/** Lets time pass for the keys: moves what the database compares its clock with. */
async function letKeysAge({ ownerUrl }: TestVault, interval: string): Promise<void> {
  await withClient(ownerUrl, async (client) => {
    await client.query("set session_replication_role = replica");
    await client.query("update keystead.key_digests set expires_at = expires_at - $1::interval", [interval]);
    await client.query("update keystead.environments set next_rotation_at = next_rotation_at - $1::interval", [
      interval,
    ]);
  });
}

async function sealedKeys({ database }: TestVault, environmentId: string): Promise<number> {
  return (await database.query("select from keystead.secret_keys where environment_id = $1", [environmentId])).length;
}

function eventsOf({ database }: TestVault): Promise<{ action: string; actor: string; fields: string[] }[]> {
  return database.query(
    `select action, actor, fields from keystead.audit_events where action like 'secret-key.%' order by event_id`,
  );
}

test("a rotation without a grace period ends the old key on every replica at its commit, and keeps nothing of it", async () => {
  await using context = await createTestVault();
  const replica = await context.another();
  const { id, owner, secretKey, rotate, state, keys } = await stored(context);
  expect(await opens(replica, secretKey)).toBe(true);

  expect(await rotate({ token: "leak-1" })).toBe(true);

  expect(await opens(replica, secretKey)).toBe(false);
  const { current, previous } = await keys();
  expect(previous).toBeUndefined();
  expect(await opens(replica, current)).toBe(true);
  expect(await state()).toMatchObject({
    lastHandledRotation: "leak-1",
    secretKeyFingerprint: tokenFingerprint(tokenDigest(current.reveal())),
    replacedKeys: [],
  });
  expect(await sealedKeys(context, id)).toBe(1);
  expect(await eventsOf(context)).toEqual([
    { action: "secret-key.rotated", actor: owner.uid, fields: ["main", "token"] },
  ]);
});

test("bad case 15: one token rotates once however often and by however many it is handled", async () => {
  await using context = await createTestVault();
  const { rotate, state, keys } = await stored(context);
  const done = await Promise.all(Array.from({ length: 20 }, () => rotate({ token: "once" })));
  expect(done.filter(Boolean)).toHaveLength(1);
  const { current } = await keys();

  expect(await rotate({ token: "once" })).toBe(false);
  expect((await keys()).current.reveal()).toBe(current.reveal());
  expect(await state()).toMatchObject({ lastHandledRotation: "once" });
  expect(await eventsOf(context)).toHaveLength(1);
});

test("bad case 15: an older token that is set again is new, and rotates", async () => {
  await using context = await createTestVault();
  const { rotate } = await stored(context, { rotationToken: "first" });
  expect(await rotate({ token: "first" }), "counted as handled at creation").toBe(false);
  for (const token of ["second", "first", "second"]) expect(await rotate({ token })).toBe(true);
  expect(await eventsOf(context)).toHaveLength(3);
});

test("bad case 16: the old key works for its grace period from when the Secret was written, and not a moment longer", async () => {
  await using context = await createTestVault();
  const replica = await context.another();
  const { id, owner, secretKey, rotate, state, keys } = await stored(context);
  await rotate({ graceSeconds: 600 });

  const pending = (await state()).replacedKeys[0] ?? expect.unreachable();
  expect(pending).toMatchObject({ isPending: true, fingerprint: tokenFingerprint(tokenDigest(secretKey.reveal())) });
  expect(pending.end.inMs, "an hour and the grace period at most").toBeGreaterThan(HOUR_MS + 9 * MINUTE_MS);
  const key = { environmentId: id, name: MAIN_SECRET_KEY, fingerprint: pending.fingerprint, owner };
  const begun = (await beginGrace(context.vault, key)) ?? expect.unreachable();
  expect(begun.inMs).toBeLessThanOrEqual(10 * MINUTE_MS);
  expect(begun.inMs).toBeGreaterThan(9 * MINUTE_MS);
  await letKeysAge(context, "9 minutes");
  expect(await beginGrace(context.vault, key), "again, as after a crash").toBeUndefined();
  expect((await keys()).previous?.reveal()).toBe(secretKey.reveal());
  expect(await opens(replica, secretKey)).toBe(true);
  expect(await endSecretKey(context.vault, key), "before its end").toBe(false);

  await letKeysAge(context, "1 minute");
  expect(await opens(replica, secretKey)).toBe(false);
  expect((await keys()).previous).toBeUndefined();
  expect(await endSecretKey(context.vault, key)).toBe(true);
  expect(await sealedKeys(context, id)).toBe(1);
  expect((await state()).replacedKeys).toEqual([]);
  expect((await eventsOf(context)).map(({ action }) => action)).toEqual([
    "secret-key.rotated",
    "secret-key.grace-began",
    "secret-key.ended",
  ]);
});

test("bad case 16: an old key whose successor never reached a Secret ends an hour and the grace period after the rotation", async () => {
  await using context = await createTestVault();
  const { secretKey, rotate } = await stored(context);
  await rotate({ graceSeconds: 600 });
  await letKeysAge(context, "69 minutes");
  expect(await opens(context.vault, secretKey)).toBe(true);
  await letKeysAge(context, "1 minute");
  expect(await opens(context.vault, secretKey)).toBe(false);
});

test("bad case 16: a second rotation inside the grace period ends the oldest key at once", async () => {
  await using context = await createTestVault();
  const { id, secretKey: first, rotate, keys } = await stored(context);
  await rotate({ token: "a", graceSeconds: 3_600 });
  const { current: second } = await keys();
  await rotate({ token: "b", graceSeconds: 3_600 });

  const { current: third, previous } = await keys();
  expect(previous?.reveal()).toBe(second.reveal());
  const opening = await Promise.all([first, second, third].map((key) => opens(context.vault, key)));
  expect(opening).toEqual([false, true, true]);
  expect(await sealedKeys(context, id)).toBe(2);
});

test("bad case 16: a rotation without a grace period revokes the key of an earlier one that still had some", async () => {
  await using context = await createTestVault();
  const { id, secretKey: first, rotate, keys } = await stored(context);
  await rotate({ token: "a", graceSeconds: 3_600 });
  const { current: second } = await keys();
  await rotate({ token: "b", graceSeconds: 0 });

  const opening = await Promise.all([first, second].map((key) => opens(context.vault, key)));
  expect(opening).toEqual([false, false]);
  expect(await sealedKeys(context, id)).toBe(1);
});

test("a schedule is due before its interval has passed, at most a tenth, rotates once, and goes on from there", async () => {
  await using context = await createTestVault();
  const { rotate, state } = await stored(context, { rotationSeconds: 100 * 86_400 });
  const { nextRotation, secretKeyIssuedAt } = await state();
  const days = ((nextRotation?.at.getTime() ?? 0) - secretKeyIssuedAt.getTime()) / (24 * HOUR_MS);
  expect(days).toBeGreaterThanOrEqual(90);
  expect(days).toBeLessThanOrEqual(100);
  const cause = { kind: "schedule" } as const;
  expect(await rotate({ cause })).toBe(false);

  await letKeysAge(context, "250 days");
  expect((await state()).nextRotation?.inMs).toBeLessThan(0);
  const done = await Promise.all([rotate({ cause }), rotate({ cause }), rotate({ cause })]);
  expect(done.filter(Boolean), "two intervals were missed").toHaveLength(1);
  expect((await state()).nextRotation?.inMs).toBeGreaterThan(89 * 24 * HOUR_MS);
  expect(await eventsOf(context)).toMatchObject([{ action: "secret-key.rotated", fields: ["main", "schedule"] }]);
});

test("another interval counts from when the key was made, and none ends the schedule", async () => {
  await using context = await createTestVault();
  const { desired, state } = await stored(context, { rotationSeconds: 100 * 86_400 });
  const before = await state();
  const same = await storeEnvironment(context.vault, {
    ...desired,
    rotationSeconds: 100 * 86_400,
    retentionSeconds: 3_600,
  });
  expect(same.nextRotation?.at).toEqual(before.nextRotation?.at);

  const shorter = await storeEnvironment(context.vault, { ...desired, rotationSeconds: 3_600 });
  const minutes = ((shorter.nextRotation?.at.getTime() ?? 0) - before.secretKeyIssuedAt.getTime()) / MINUTE_MS;
  expect(minutes).toBeGreaterThanOrEqual(54);
  expect(minutes).toBeLessThanOrEqual(60);

  const none = await storeEnvironment(context.vault, { ...desired, rotationSeconds: undefined });
  expect(none.nextRotation).toBeUndefined();
});

test("nobody but the resource that has an environment rotates its key", async () => {
  await using context = await createTestVault();
  const { rotate } = await stored(context);
  const { owner } = desiredEnvironment();
  expect(await rotate({ owner })).toBe(false);
  expect(await eventsOf(context)).toEqual([]);
});
