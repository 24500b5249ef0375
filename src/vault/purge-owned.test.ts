import { expect, test } from "vitest";
import { withClient } from "../../test/support/database.ts";
import { letTimePass } from "../../test/support/time.ts";
import { eventually } from "../../test/support/eventually.ts";
import { actorOf, createTestVault, desiredConnection, idsOf, newOwner } from "../../test/support/vault.ts";
import { storeExample, storeParents, type TestVault } from "../../test/support/vault.ts";
import type { Owner } from "./owner.ts";
import type { PurgedKind } from "./purge-connections.ts";
import { purgeEnvironment } from "./purge-environment.ts";
import { purgeOwned } from "./purge-owned.ts";
import { restoreEnvironment } from "./restore-environment.ts";
import { softDeleteConnection } from "./soft-delete-connection.ts";
import { softDeleteEnvironment } from "./soft-delete-environment.ts";
import { softDeleteIntegration } from "./soft-delete-integration.ts";
import { storeConnection } from "./store-connection.ts";
import { storeIntegration } from "./store-integration.ts";

const NEVER = new AbortController().signal;
const SOFT_DELETE = {
  environment: softDeleteEnvironment,
  integration: softDeleteIntegration,
  connection: softDeleteConnection,
};

/** What a controller does for a resource with the policy Purge. */
async function purge({ vault }: Pick<TestVault, "vault">, kind: PurgedKind, owner: Owner, signal = NEVER) {
  await SOFT_DELETE[kind](vault, owner.uid, actorOf(owner));
  return purgeOwned(vault, kind, owner.uid, { actor: actorOf(owner), pace: { signal, share: 1 } });
}

async function counts({ database }: TestVault) {
  const [row] = await database.query<Record<"environments" | "integrations" | "connections" | "keys", number>>(
    `select (select count(*) from keystead.environments) as environments,
            (select count(*) from keystead.integrations) as integrations,
            (select count(*) from keystead.connections) as connections,
            (select count(*) from keystead.secret_keys) + (select count(*) from keystead.key_digests)
              + (select count(*) from keystead.data_keys) + (select count(*) from keystead.data_key_wrappings) as keys`,
  );
  return row;
}

test.each([
  { kind: "connection", left: { environments: 1, integrations: 1, connections: 0, keys: 4 } },
  { kind: "integration", left: { environments: 1, integrations: 0, connections: 0, keys: 4 } },
  { kind: "environment", left: { environments: 0, integrations: 0, connections: 0, keys: 0 } },
] as const)(
  "an $kind that is purged by its resource is gone at once with all that is in it",
  async ({ kind, left }) => {
    await using context = await createTestVault();
    const { environment, integration, desired: connection } = await storeExample(context.vault);
    const { owner } = { environment, integration, connection }[kind];
    expect(await purge(context, kind, owner)).toBe(true);
    expect(await counts(context)).toEqual(left);
    const events = await context.database.query(
      `select action, actor from keystead.audit_events where action like '%.purged' order by event_id`,
    );
    const order = ["connection", "integration", "environment"];
    const gone = order.slice(0, order.indexOf(kind) + 1);
    expect(events).toEqual(gone.map((what) => ({ action: `${what}.purged`, actor: owner.uid })));
  },
);

test("with it goes what was deleted in it before and could still be restored", async () => {
  await using context = await createTestVault();
  const { desired, integration } = await storeExample(context.vault);
  await softDeleteConnection(context.vault, desired.owner.uid, actorOf(desired.owner));
  await letTimePass(context.ownerUrl, "1 hour");
  await purge(context, "integration", integration.owner);
  expect(await counts(context)).toMatchObject({ integrations: 0, connections: 0 });
});

test("what is not in it stays, deleted or alive", async () => {
  await using context = await createTestVault();
  const { integration, ...parents } = await storeExample(context.vault);
  const other = { ...integration, owner: newOwner("other"), uniqueKey: "other" };
  const { id: integrationId } = await storeIntegration(context.vault, other);
  const scope = { ...idsOf({ ...parents, integration }), integrationId };
  const [deleted, alive] = ["deleted", "alive"].map((connectionId) => desiredConnection(scope, { connectionId }));
  for (const desired of [deleted, alive]) if (desired) await storeConnection(context.vault, desired);
  if (deleted) await softDeleteConnection(context.vault, deleted.owner.uid, actorOf(deleted.owner));
  await purge(context, "integration", integration.owner);
  const left = await context.database.query("select connection_id from keystead.connections order by 1");
  expect(left).toEqual([{ connection_id: "alive" }, { connection_id: "deleted" }]);
});

test("a purge that is broken off is finished by the next call, and nothing of it can be restored meanwhile", async () => {
  await using context = await createTestVault();
  const { environment, environmentId, ...parents } = await storeParents(context.vault);
  const all = Array.from({ length: 300 }, (_, n) =>
    desiredConnection(idsOf({ environment, environmentId, ...parents }), { connectionId: `c${n}` }),
  );
  await Promise.all(all.map((desired) => storeConnection(context.vault, desired)));
  expect(await purge(context, "environment", environment.owner, AbortSignal.abort())).toBe(false);
  expect(await counts(context)).toMatchObject({ environments: 1, connections: 300 });
  const restore = restoreEnvironment(context.vault, { id: environmentId, owner: environment.owner });
  await expect(restore).rejects.toMatchObject({ code: "restore_not_found" });

  expect(await purge({ vault: await context.another() }, "environment", environment.owner)).toBe(true);
  expect(await counts(context)).toMatchObject({ environments: 0, connections: 0 });
  expect(await purge(context, "environment", environment.owner), "once more").toBe(true);
});

test("it waits for a row that somebody holds, so that whoever is told that all is gone can rely on it", async () => {
  await using context = await createTestVault();
  const { environment } = await storeExample(context.vault);
  await withClient(context.ownerUrl, async (client) => {
    await softDeleteEnvironment(context.vault, environment.owner.uid, actorOf(environment.owner));
    await client.query("begin; select from keystead.connections for update");
    const purging = purge(context, "environment", environment.owner);
    await eventually(async () => {
      const [waiting] = await context.database.query<{ count: number }>(
        `select count(*) as count from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`,
      );
      expect(waiting?.count).toBe(1);
    });
    await client.query("commit");
    expect(await purging).toBe(true);
  });
  expect(await counts(context)).toMatchObject({ environments: 0, connections: 0 });
});

test("a purger that is at it too takes its share, and all is gone when the call has ended", async () => {
  await using context = await createTestVault();
  const parents = await storeParents(context.vault);
  const all = Array.from({ length: 500 }, (_, n) => desiredConnection(idsOf(parents), { connectionId: `c${n}` }));
  await Promise.all(all.map((desired) => storeConnection(context.vault, desired)));
  const { owner } = parents.environment;
  await softDeleteEnvironment(context.vault, owner.uid, actorOf(owner));
  const purger = {
    actor: { kind: "system", name: "purger" },
    pace: { signal: NEVER, share: 1 },
    locked: "skip",
  } as const;
  const another = await context.another();
  const enough = new AbortController();
  const help = async (): Promise<void> => {
    while (!enough.signal.aborted) await purgeEnvironment(another, parents.environmentId, purger);
  };
  const helper = help();
  expect(await purge(context, "environment", owner)).toBe(true);
  expect(await counts(context)).toMatchObject({ environments: 0, integrations: 0, connections: 0, keys: 0 });
  enough.abort();
  await helper;
  const [events] = await context.database.query(
    `select count(*) as events, count(distinct target_id) as things from keystead.audit_events where action like '%.purged'`,
  );
  expect(events).toEqual({ events: 502, things: 502 });
});
