import { expect, test } from "vitest";
import { ageDeletions, served } from "../../test/support/restorable.ts";
import {
  actorOf,
  createTestVault,
  desiredConnection,
  idsOf,
  newOwner,
  storeExample,
} from "../../test/support/vault.ts";
import { listConnections } from "./list-connections.ts";
import { purgeEnvironment } from "./purge-environment.ts";
import { restoreEnvironment } from "./restore-environment.ts";
import { softDeleteEnvironment } from "./soft-delete-environment.ts";
import { storeConnection } from "./store-connection.ts";

const CONNECTIONS = 60;

test.each(Array.from({ length: 10 }, (_, n) => ({ left: n * 6 })))(
  "bad case 33: a restore and a purge that meet $left ms before the end of the retention leave all of it or nothing",
  async ({ left }) => {
    await using context = await createTestVault();
    const { vault } = context;
    const example = await storeExample(vault);
    const { environment, environmentId, keyDigest } = example;
    const ids = idsOf(example);
    const all = Array.from({ length: CONNECTIONS }, (_, n) => desiredConnection(ids, { connectionId: `c${n}` }));
    await Promise.all(all.map((desired) => storeConnection(vault, desired)));
    await softDeleteEnvironment(vault, environment.owner.uid, actorOf(environment.owner));
    const [restorer, purger] = await Promise.all([context.another(), context.another()]);
    const [elapsed] = await context.database.query<{ seconds: number }>(
      "select extract(epoch from clock_timestamp() - deleted_at)::float8 as seconds from keystead.environments",
    );
    await ageDeletions(context, 31 * 86_400 - (elapsed?.seconds ?? 0) - left / 1_000);

    const pace = { signal: new AbortController().signal, share: 1 };
    const purge = async (): Promise<void> => {
      for (let turn = 0; turn < 5; turn += 1) {
        await purgeEnvironment(purger, environmentId, {
          actor: { kind: "system", name: "purger" },
          pace,
          locked: "skip",
        });
      }
    };
    const [restored] = await Promise.allSettled([
      restoreEnvironment(restorer, { id: environmentId, owner: newOwner("production") }, 7),
      purge(),
    ]);

    if (restored.status === "rejected") {
      expect(restored.reason).toHaveProperty("code", "restore_not_found");
      expect(await served(vault, keyDigest)).toBe("unknown_key");
      return;
    }
    const listed = await listConnections(vault, { keyDigest, limit: 100, offset: 0 });
    expect(listed.kind === "found" && listed.connections.length).toBe(CONNECTIONS + 1);
  },
);
