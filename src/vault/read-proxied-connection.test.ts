import { expect, test } from "vitest";
import { createTestVault, desiredConnection, idsOf, storeExample, storeParents } from "../../test/support/vault.ts";
import { generateToken, tokenDigest, tokenFingerprint } from "../crypto/token.ts";
import { readProxiedConnection } from "./read-proxied-connection.ts";
import { storeConnection } from "./store-connection.ts";

test("a hundred proxied calls of one moment are each recorded, and committed together", async () => {
  await using context = await createTestVault();
  const { keyDigest } = await storeExample(context.vault);
  await Promise.all(Array.from({ length: 100 }, () => readProxiedConnection(context.vault, request(keyDigest))));
  const [sum] = await context.database.query<{ calls: number; commits: number }>(
    `select sum(occurrences) as calls, count(distinct xmin::text) as commits from keystead.audit_events
      where action = 'connection.proxied'`,
  );
  expect(sum?.calls).toBe(100);
  expect(sum?.commits, "64 in the first statement, the others in the second").toBe(2);
});

test("proxied calls of one moment, with different keys and mistakes among them, each get their own answer", async () => {
  await using context = await createTestVault();
  const [one, other] = [await storeExample(context.vault), await storeExample(context.vault)];
  const stranger = tokenDigest(generateToken("secret-key").reveal());
  const read = (keyDigest: Buffer, changes: Partial<ReturnType<typeof request>> = {}) =>
    readProxiedConnection(context.vault, { ...request(keyDigest), ...changes });
  const outcomes = await Promise.allSettled([
    read(one.keyDigest, { address: "10.1.2.3" }),
    read(stranger),
    read(other.keyDigest),
    read(one.keyDigest, { connectionId: "nul \0" }),
    read(one.keyDigest, { providerConfigKey: "gitlab" }),
    read(other.keyDigest, { connectionId: "other" }),
  ]);
  expect(outcomes).toMatchObject([
    { value: { kind: "found", connection: { id: one.stored.id }, settings: { auth: { mode: "OAUTH2" } } } },
    { value: { kind: "unknown_key" } },
    { value: { kind: "found", connection: { id: other.stored.id } } },
    { reason: { code: "database_value_refused" } },
    { value: { kind: "unknown_integration" } },
    { value: { kind: "not_found" } },
  ]);
  const events = await context.database.query(
    `select actor, address, target_id from keystead.audit_events where action = 'connection.proxied' order by address`,
  );
  expect(events).toEqual([
    { actor: tokenFingerprint(one.keyDigest), address: "10.1.2.3", target_id: one.stored.id },
    { actor: tokenFingerprint(other.keyDigest), address: null, target_id: other.stored.id },
  ]);
});

test("a large credential is given to a proxied call as well, and recorded once", async () => {
  await using context = await createTestVault();
  const parents = await storeParents(context.vault);
  const credentials = { type: "API_KEY", value: { type: "API_KEY", apiKey: "k".repeat(100_000) } } as const;
  await storeConnection(context.vault, desiredConnection(idsOf(parents), { credentials }));
  const read = await readProxiedConnection(context.vault, request(parents.keyDigest));
  expect(read.kind === "found" && read.connection.credentials?.reveal().length).toBeGreaterThan(100_000);
  const events = await context.database.query(
    "select 1 from keystead.audit_events where action = 'connection.proxied'",
  );
  expect(events).toHaveLength(1);
});

function request(keyDigest: Buffer) {
  return { keyDigest, providerConfigKey: "github", connectionId: "acme", address: undefined as string | undefined };
}
