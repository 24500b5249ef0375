import { expect, test } from "vitest";
import { createTestVault, desiredConnection, idsOf, storeExample, storeParents } from "../../test/support/vault.ts";
import { Secret } from "../crypto/secret.ts";
import { generateToken, tokenDigest, tokenFingerprint } from "../crypto/token.ts";
import { openDatabase } from "../db/database.ts";
import { readConnection } from "./read-connection.ts";
import { storeConnection } from "./store-connection.ts";

test("a connection is read with the environment's key, its credentials as they were declared", async () => {
  await using context = await createTestVault();
  const { keyDigest, stored } = await storeExample(context.vault);
  const read = await readConnection(context.vault, request(keyDigest));
  expect(read).toMatchObject({
    kind: "found",
    connection: {
      id: stored.id,
      numericId: expect.any(Number),
      connectionId: "acme",
      providerConfigKey: "github",
      provider: "github",
      endUser: null,
      tags: { team: "sales" },
      metadata: null,
      credentialsType: "API_KEY",
      credentialsExpiresAt: undefined,
    },
  });
  if (read.kind !== "found") return;
  expect(read.connection.credentials?.reveal()).toBe('{"type":"API_KEY","apiKey":"token-of-acme"}');
  expect(read.connection.config.reveal()).toBe('{"subdomain":"acme"}');
});

test("a connection without credentials is found without them", async () => {
  await using context = await createTestVault();
  const parents = await storeParents(context.vault);
  const expiresAt = new Date("2026-12-01T00:00:00Z");
  const waiting = { credentials: undefined, declaration: null, endUser: { id: "42" }, metadata: { plan: "pro" } };
  await storeConnection(context.vault, desiredConnection(idsOf(parents), waiting));
  const expiring = { type: "OAUTH2", value: { type: "OAUTH2", access_token: "a" }, expiresAt } as const;
  await storeConnection(context.vault, desiredConnection(idsOf(parents), { connectionId: "b", credentials: expiring }));
  expect(await readConnection(context.vault, request(parents.keyDigest))).toMatchObject({
    connection: {
      credentials: undefined,
      credentialsType: undefined,
      endUser: { id: "42" },
      metadata: { plan: "pro" },
    },
  });
  expect(await readConnection(context.vault, { ...request(parents.keyDigest), connectionId: "b" })).toMatchObject({
    connection: { credentialsType: "OAUTH2", credentialsExpiresAt: expiresAt },
  });
});

test("what is not there is told apart: key, integration, connection", async () => {
  await using context = await createTestVault();
  const { keyDigest } = await storeExample(context.vault);
  const stranger = tokenDigest(generateToken("secret-key").reveal());
  expect(await readConnection(context.vault, request(stranger))).toEqual({ kind: "unknown_key" });
  expect(await readConnection(context.vault, { ...request(keyDigest), providerConfigKey: "gitlab" })).toEqual({
    kind: "unknown_integration",
  });
  expect(await readConnection(context.vault, { ...request(keyDigest), connectionId: "other" })).toEqual({
    kind: "not_found",
  });
});

test("the key of one environment does not open another's connection of the same names", async () => {
  await using context = await createTestVault();
  const [one, other] = [await storeExample(context.vault), await storeExample(context.vault)];
  for (const { keyDigest, stored } of [one, other]) {
    expect(await readConnection(context.vault, request(keyDigest))).toMatchObject({ connection: { id: stored.id } });
  }
});

test("reads of one moment, with different keys and mistakes among them, each get their own answer", async () => {
  await using context = await createTestVault();
  const [one, other] = [await storeExample(context.vault), await storeExample(context.vault)];
  const stranger = tokenDigest(generateToken("secret-key").reveal());
  const read = (keyDigest: Buffer, changes: Partial<ReturnType<typeof request>> = {}) =>
    readConnection(context.vault, { ...request(keyDigest), ...changes });
  const outcomes = await Promise.allSettled([
    read(one.keyDigest),
    read(stranger),
    read(other.keyDigest),
    read(one.keyDigest, { connectionId: "nul \0" }),
    read(one.keyDigest, { providerConfigKey: "gitlab" }),
    read(one.keyDigest),
    read(other.keyDigest, { connectionId: "other" }),
  ]);
  expect(outcomes).toMatchObject([
    { value: { kind: "found", connection: { id: one.stored.id } } },
    { value: { kind: "unknown_key" } },
    { value: { kind: "found", connection: { id: other.stored.id } } },
    { reason: { code: "database_value_refused" } },
    { value: { kind: "unknown_integration" } },
    { value: { kind: "found", connection: { id: one.stored.id } } },
    { value: { kind: "not_found" } },
  ]);
});

test("an expired key opens nothing, by the clock of the database", async () => {
  await using context = await createTestVault();
  const { keyDigest } = await storeExample(context.vault);
  await context.database.query("update keystead.key_digests set expires_at = now() + interval '1 hour'");
  expect(await readConnection(context.vault, request(keyDigest))).toMatchObject({ kind: "found" });
  await context.database.query("update keystead.key_digests set expires_at = now()");
  expect(await readConnection(context.vault, request(keyDigest))).toEqual({ kind: "unknown_key" });
});

test("a read is recorded with key, address and revision, before it is answered; a miss is not", async () => {
  await using context = await createTestVault();
  const { keyDigest, stored, environmentId } = await storeExample(context.vault);
  await readConnection(context.vault, { ...request(keyDigest), connectionId: "other" });
  await readConnection(context.vault, { ...request(keyDigest), address: "10.1.2.3" });
  const events = await context.database.query(
    `select environment_id, actor_kind, actor, address, target_kind, target_id, target_revision, occurrences
       from keystead.audit_events where action = 'connection.credentials-read'`,
  );
  expect(events).toEqual([
    {
      environment_id: environmentId,
      actor_kind: "key",
      actor: tokenFingerprint(keyDigest),
      address: "10.1.2.3",
      target_kind: "connection",
      target_id: stored.id,
      target_revision: 1,
      occurrences: 1,
    },
  ]);
});

test("a hundred reads at once are all recorded, equal ones in one row", async () => {
  await using context = await createTestVault();
  const { keyDigest } = await storeExample(context.vault);
  await Promise.all(Array.from({ length: 100 }, () => readConnection(context.vault, request(keyDigest))));
  const [sum] = await context.database.query<{ reads: number; rows: number }>(
    `select sum(occurrences) as reads, count(*) as rows from keystead.audit_events
      where action = 'connection.credentials-read'`,
  );
  expect(sum?.reads).toBe(100);
  expect(sum?.rows).toBeLessThan(100);
});

test("a credential whose read cannot be recorded is not handed out", async () => {
  await using context = await createTestVault();
  const { keyDigest } = await storeExample(context.vault);
  await using owner = openDatabase({ url: new Secret(context.ownerUrl), applicationName: "owner", poolSize: 1 });
  await owner.query("revoke insert on keystead.audit_events from keystead_runtime");
  await expect(readConnection(context.vault, request(keyDigest))).rejects.toMatchObject({ code: "database_forbidden" });
});

function request(keyDigest: Buffer) {
  return { keyDigest, providerConfigKey: "github", connectionId: "acme" };
}
