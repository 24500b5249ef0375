import { expect, test } from "vitest";
import { withClient } from "../../test/support/database.ts";
import { readTables } from "../../test/support/leaks.ts";
import { letTimePass } from "../../test/support/time.ts";
import { actorOf, apiKey, createTestVault, desiredConnection, desiredEnvironment } from "../../test/support/vault.ts";
import { desiredIntegration, idsOf, storeExample, storeParents, type TestVault } from "../../test/support/vault.ts";
import { Secret } from "../crypto/secret.ts";
import { tokenDigest } from "../crypto/token.ts";
import type { ReigningVault, Vault } from "./context.ts";
import { findPurgeable, FIRST_PAGE } from "./find-purgeable.ts";
import type { PurgeOptions } from "./purge-connections.ts";
import { purgeEnvironment } from "./purge-environment.ts";
import { readConnection } from "./read-connection.ts";
import { softDeleteConnection } from "./soft-delete-connection.ts";
import { softDeleteEnvironment } from "./soft-delete-environment.ts";
import { softDeleteIntegration } from "./soft-delete-integration.ts";
import { storeConnection } from "./store-connection.ts";
import { storeEnvironment } from "./store-environment.ts";
import { storeIntegration } from "./store-integration.ts";

const PURGER: PurgeOptions = {
  actor: { kind: "system", name: "purger" },
  pace: { signal: new AbortController().signal, share: 1 },
  locked: "skip",
};

/** One turn of a purger. */
async function purge(vault: Pick<Vault, "database">): Promise<void> {
  const { environmentIds } = await findPurgeable(vault, FIRST_PAGE);
  for (const environmentId of environmentIds) await purgeEnvironment(vault, environmentId, PURGER);
}

/** Rows of the three kinds that are still there. */
async function rowsLeft({
  database,
}: TestVault): Promise<{ environments: number; integrations: number; connections: number }> {
  const [counts] = await database.query<Awaited<ReturnType<typeof rowsLeft>>>(
    `select (select count(*) from keystead.environments) as environments,
            (select count(*) from keystead.integrations) as integrations,
            (select count(*) from keystead.connections) as connections`,
  );
  return counts ?? expect.unreachable();
}

/** Who purged what, oldest first. */
function purgeEvents({ database }: TestVault): Promise<{ action: string; actor: string; target_id: string }[]> {
  return database.query(
    `select action, actor, target_id from keystead.audit_events where action like '%.purged' order by event_id`,
  );
}

async function deleteConnection(vault: ReigningVault, { owner }: { owner: Parameters<typeof actorOf>[0] }) {
  return softDeleteConnection(vault, owner.uid, actorOf(owner));
}

test("a connection is purged when 744 hours have passed, not a minute before, with one event that stays", async () => {
  await using context = await createTestVault();
  const { desired, stored } = await storeExample(context.vault);
  await deleteConnection(context.vault, desired);
  await letTimePass(context.ownerUrl, "743:59:00");
  await purge(context.vault);
  expect(await rowsLeft(context)).toMatchObject({ connections: 1 });

  await letTimePass(context.ownerUrl, "00:01:00");
  await purge(context.vault);
  expect(await rowsLeft(context)).toEqual({ environments: 1, integrations: 1, connections: 0 });
  expect(await purgeEvents(context)).toEqual([{ action: "connection.purged", actor: "purger", target_id: stored.id }]);
});

test("the retention that the environment has now counts, also for what was deleted before it was changed", async () => {
  await using context = await createTestVault();
  const { desired, environment } = await storeExample(context.vault);
  await deleteConnection(context.vault, desired);
  await letTimePass(context.ownerUrl, "2 days");
  await purge(context.vault);
  expect(await rowsLeft(context)).toMatchObject({ connections: 1 });

  await storeEnvironment(context.vault, { ...environment, retentionSeconds: 86_400 });
  await purge(context.vault);
  expect(await rowsLeft(context)).toMatchObject({ connections: 0 });
});

test("an integration goes after its connections, and with it those that were deleted before", async () => {
  await using context = await createTestVault();
  const parents = await storeParents(context.vault);
  const [first, second] = ["first", "second"].map((connectionId) =>
    desiredConnection(idsOf(parents), { connectionId }),
  );
  for (const desired of [first, second]) if (desired) await storeConnection(context.vault, desired);
  if (first) await deleteConnection(context.vault, first);
  await letTimePass(context.ownerUrl, "1 day");
  const { owner } = parents.integration;
  await softDeleteIntegration(context.vault, owner.uid, actorOf(owner));
  await letTimePass(context.ownerUrl, "30 days");
  await purge(context.vault);
  expect(await rowsLeft(context)).toEqual({ environments: 1, integrations: 1, connections: 1 });

  await letTimePass(context.ownerUrl, "1 day");
  await purge(context.vault);
  expect(await rowsLeft(context)).toEqual({ environments: 1, integrations: 0, connections: 0 });
  expect((await purgeEvents(context)).map(({ action }) => action)).toEqual([
    "connection.purged",
    "connection.purged",
    "integration.purged",
  ]);
});

test("bad case 35: after the purge of an environment nothing of it is in any table but what the audit says", async () => {
  await using context = await createTestVault();
  const { vault } = context;
  const variables = [{ name: "CANARY-variable", value: new Secret("CANARY-value") }];
  const environment = desiredEnvironment({ variables });
  const { id: environmentId, secretKey } = await storeEnvironment(vault, environment);
  const place = { environmentId, environmentUid: environment.owner.uid };
  const integration = desiredIntegration(place, { uniqueKey: "CANARY-key", settings: { name: "CANARY-settings" } });
  const { id: integrationId } = await storeIntegration(vault, integration);
  const desired = desiredConnection(
    { ...place, integrationId },
    {
      connectionId: "CANARY-id",
      metadata: { note: "CANARY-metadata" },
      tags: { canary: "CANARY-tag" },
      endUser: { id: "CANARY-person", email: "CANARY@example.com" },
      sources: [{ name: "CANARY-secret", uid: "CANARY-uid", resourceVersion: "1" }],
    },
  );
  const { id: rowId } = await storeConnection(vault, desired);
  const keyDigest = tokenDigest(secretKey.reveal());
  await readConnection(vault, { keyDigest, providerConfigKey: "CANARY-key", connectionId: "CANARY-id" });
  const places = async (text: string): Promise<string[]> =>
    (await readTables(context.ownerUrl)).filter((table) => table.text.includes(text)).map(({ name }) => name);
  expect(await places("CANARY"), "the search finds what is there").toEqual(
    expect.arrayContaining(["keystead.connections", "keystead.integrations"]),
  );
  const before = await tablesOf(context, environmentId);

  await softDeleteEnvironment(vault, environment.owner.uid, actorOf(environment.owner));
  await letTimePass(context.ownerUrl, "31 days");
  await purge(vault);

  expect(await places("CANARY")).toEqual([]);
  expect(await places(keyDigest.toString("hex"))).toEqual([]);
  // Whatever table there will ever be: it holds nothing of an environment that is gone, unless it is the audit's.
  expect(before.length, "all tables of an environment were filled").toBeGreaterThan(6);
  expect(await tablesOf(context, environmentId)).toEqual(["audit_events"]);
  expect((await purgeEvents(context)).map(({ target_id }) => target_id)).toEqual([rowId, integrationId, environmentId]);
});

/** Tables with a row of the environment. */
async function tablesOf({ database }: TestVault, environmentId: string): Promise<string[]> {
  const tables = await database.query<{ name: string }>(
    `select table_name as name from information_schema.columns
      where table_schema = 'keystead' and column_name = 'environment_id' order by 1`,
  );
  const found: string[] = [];
  for (const { name } of tables) {
    const rows = await database.query(`select from keystead.${name} where environment_id = $1 limit 1`, [
      environmentId,
    ]);
    if (rows.length > 0) found.push(name);
  }
  return found;
}

test("bad case 33: the purge of the old one never touches what was made anew under the same name", async () => {
  await using context = await createTestVault();
  const { desired, keyDigest, ...parents } = await storeExample(context.vault);
  await deleteConnection(context.vault, desired);
  const reborn = desiredConnection(idsOf({ ...parents, keyDigest }), { credentials: apiKey("new") });
  const { id } = await storeConnection(context.vault, reborn);
  await letTimePass(context.ownerUrl, "32 days");
  await purge(context.vault);

  const request = { keyDigest, providerConfigKey: "github", connectionId: "acme" };
  expect(await readConnection(context.vault, request)).toMatchObject({ kind: "found", connection: { id } });
  expect(await rowsLeft(context)).toMatchObject({ connections: 1 });
});

test("bad case 33: a purge that is broken off goes on with the rest, and nothing is recorded twice", async () => {
  await using context = await createTestVault();
  const { environment } = await storeMany(context, 350);
  await softDeleteEnvironment(context.vault, environment.owner.uid, actorOf(environment.owner));
  await letTimePass(context.ownerUrl, "31 days");
  const [environmentId = ""] = (await findPurgeable(context.vault, FIRST_PAGE)).environmentIds;
  const stop = new AbortController();
  const stopped = await purgeEnvironment(context.vault, environmentId, {
    ...PURGER,
    pace: { signal: stop.signal, share: 1 },
    purged: () => stop.abort(),
  });
  expect(stopped).toBe(false);
  expect(await rowsLeft(context)).toEqual({ environments: 1, integrations: 1, connections: 250 });

  await purge(await context.another());
  expect(await rowsLeft(context)).toEqual({ environments: 0, integrations: 0, connections: 0 });
  const events = await purgeEvents(context);
  expect(new Set(events.map(({ target_id }) => target_id)).size).toBe(events.length);
  expect(events.length).toBe(352);
});

test("bad case 33: a row that somebody holds is left with its parents, the rest goes, and the next turn takes it", async () => {
  await using context = await createTestVault();
  const { environment } = await storeMany(context, 20);
  await softDeleteEnvironment(context.vault, environment.owner.uid, actorOf(environment.owner));
  await letTimePass(context.ownerUrl, "31 days");
  await withClient(context.ownerUrl, async (client) => {
    await client.query("begin; select from keystead.connections where connection_id = 'c7' for update");
    await purge(context.vault);
    expect(await rowsLeft(context)).toEqual({ environments: 1, integrations: 1, connections: 1 });
    await client.query("rollback");
  });
  await purge(context.vault);
  expect(await rowsLeft(context)).toEqual({ environments: 0, integrations: 0, connections: 0 });
});

test("bad case 33: while an environment is being restored nothing in it is purged", async () => {
  await using context = await createTestVault();
  const { environment } = await storeMany(context, 20);
  await softDeleteEnvironment(context.vault, environment.owner.uid, actorOf(environment.owner));
  await letTimePass(context.ownerUrl, "31 days");
  await withClient(context.ownerUrl, async (client) => {
    await client.query("begin; select from keystead.environments for no key update");
    await purge(context.vault);
    expect(await rowsLeft(context)).toEqual({ environments: 1, integrations: 1, connections: 20 });
    await client.query("rollback");
  });
});

test("bad case 33: rows that a restored backup brings back past their retention go again, and those within it stay", async () => {
  await using context = await createTestVault();
  const { desired, stored, ...parents } = await storeExample(context.vault);
  const recent = desiredConnection(idsOf(parents), { connectionId: "recent" });
  await storeConnection(context.vault, recent);
  await deleteConnection(context.vault, desired);
  await letTimePass(context.ownerUrl, "30 days");
  await deleteConnection(context.vault, recent);
  await withClient(context.ownerUrl, async (client) => {
    await client.query("create table public.backup as select * from keystead.connections");
    await letTimePass(context.ownerUrl, "1 day");
    await purge(context.vault);
    expect(await rowsLeft(context)).toMatchObject({ connections: 1 });
    await client.query(
      `delete from keystead.connections;
       alter table keystead.connections alter numeric_id drop identity;
       set session_replication_role = replica;
       insert into keystead.connections select * from public.backup`,
    );
  });
  await letTimePass(context.ownerUrl, "1 day");
  expect(await rowsLeft(context)).toMatchObject({ connections: 2 });

  await purge(context.vault);
  const left = await context.database.query("select connection_id from keystead.connections");
  expect(left).toEqual([{ connection_id: "recent" }]);
  expect((await purgeEvents(context)).map(({ target_id }) => target_id)).toEqual([stored.id, stored.id]);
});

test("two purgers at once share the work: every row goes once, with one event", async () => {
  await using context = await createTestVault();
  await storeMany(context, 400);
  await storeMany(context, 400);
  await withClient(context.ownerUrl, (client) =>
    client.query(
      `set session_replication_role = replica;
       update keystead.connections set deleted_at = now() - interval '32 days', deletion_id = gen_random_uuid()`,
    ),
  );
  const replicas = await Promise.all([context.another(), context.another(), context.another()]);
  await Promise.all(replicas.map(purge));
  // Whoever met rows that another held left them to that one, which may have been broken off.
  await purge(context.vault);

  expect(await rowsLeft(context)).toEqual({ environments: 2, integrations: 2, connections: 0 });
  const events = await purgeEvents(context);
  expect(events.length).toBe(800);
  expect(new Set(events.map(({ target_id }) => target_id)).size).toBe(800);
});

test("a purge needs no reign, and goes on when the controllers have changed", async () => {
  await using context = await createTestVault();
  const { desired } = await storeExample(context.vault);
  await deleteConnection(context.vault, desired);
  await letTimePass(context.ownerUrl, "31 days");
  await context.successor();
  await purge({ database: context.database });
  expect(await rowsLeft(context)).toMatchObject({ connections: 0 });
});

/** Connections c0, c1 and so on under parents of their own. */
async function storeMany(context: TestVault, count: number) {
  const parents = await storeParents(context.vault);
  const desired = Array.from({ length: count }, (_, n) => desiredConnection(idsOf(parents), { connectionId: `c${n}` }));
  await Promise.all(desired.map((one) => storeConnection(context.vault, one)));
  return parents;
}
