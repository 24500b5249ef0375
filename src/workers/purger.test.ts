import { expect, test } from "vitest";
import { withClient } from "../../test/support/database.ts";
import { letTimePass } from "../../test/support/time.ts";
import { actorOf, createTestVault, desiredConnection, idsOf, storeParents } from "../../test/support/vault.ts";
import type { TestVault } from "../../test/support/vault.ts";
import type { UpcomingPurges } from "../vault/find-purgeable.ts";
import { softDeleteConnection } from "../vault/soft-delete-connection.ts";
import { softDeleteEnvironment } from "../vault/soft-delete-environment.ts";
import { storeConnection } from "../vault/store-connection.ts";
import { createPurger } from "./purger.ts";

/** A purger with what it told. */
function purgerOf({ database }: Pick<TestVault, "database">) {
  const told = { purged: {} as Record<string, number>, upcoming: undefined as UpcomingPurges | undefined };
  const purger = createPurger(
    { database },
    {
      purged: (kind, rows) => void (told.purged[kind] = (told.purged[kind] ?? 0) + rows),
      upcoming: (counts) => void (told.upcoming = counts),
    },
  );
  return { told, turn: (signal = new AbortController().signal) => purger.run(signal) };
}

test("a turn purges all that is due, wherever it is, and tells what the next 7 days will purge", async () => {
  await using context = await createTestVault();
  const all = [await storeParents(context.vault), await storeParents(context.vault)];
  for (const [connectionId, daysUntilTheNext] of [
    ["due", 6],
    ["within a week", 20],
    ["later", 5],
  ] as const) {
    for (const parents of all) {
      const desired = desiredConnection(idsOf(parents), { connectionId });
      await storeConnection(context.vault, desired);
      await softDeleteConnection(context.vault, desired.owner.uid, actorOf(desired.owner));
    }
    await letTimePass(context.ownerUrl, `${daysUntilTheNext} days`);
  }
  const { told, turn } = purgerOf(context);
  await turn();
  expect(told.purged).toEqual({ connection: 2 });
  expect(told.upcoming).toEqual({ environments: 0, integrations: 0, connections: 2 });
});

test("a turn that is told to end leaves the rest to the next", async () => {
  await using context = await createTestVault();
  const parents = await storeParents(context.vault);
  const connections = Array.from({ length: 300 }, (_, n) =>
    desiredConnection(idsOf(parents), { connectionId: `c${n}` }),
  );
  await Promise.all(connections.map((desired) => storeConnection(context.vault, desired)));
  const { owner } = parents.environment;
  await softDeleteEnvironment(context.vault, owner.uid, actorOf(owner));
  await letTimePass(context.ownerUrl, "31 days");
  const { told, turn } = purgerOf(context);
  await turn(AbortSignal.abort());
  expect(told.purged).toEqual({});
  await turn();
  expect(told.purged).toEqual({ environment: 1, integration: 1, connection: 300 });
});

test("an environment that cannot be purged keeps none of the others, and the turn fails", async () => {
  await using context = await createTestVault();
  for (const parents of [await storeParents(context.vault), await storeParents(context.vault)]) {
    const { owner } = parents.environment;
    await softDeleteEnvironment(context.vault, owner.uid, actorOf(owner));
  }
  await letTimePass(context.ownerUrl, "31 days");
  await withClient(context.ownerUrl, (client) =>
    client.query(`
      create table public.obstacle (environment_id uuid references keystead.environments);
      insert into public.obstacle select environment_id from keystead.environments limit 1`),
  );
  const { told, turn } = purgerOf(context);
  await expect(turn()).rejects.toMatchObject({ code: "database_error" });
  expect(told.purged).toEqual({ environment: 1, integration: 2 });
});
