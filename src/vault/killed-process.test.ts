import { spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { createTestVault, desiredConnection, idsOf, storeParents, type TestVault } from "../../test/support/vault.ts";
import type { DesiredConnection } from "./connection.ts";
import { readConnection } from "./read-connection.ts";
import { storeConnection } from "./store-connection.ts";

const CONNECTIONS = 300;
const PROGRAM = fileURLToPath(new URL("../../test/support/storing-process.ts", import.meta.url));

test.each([1, 60, 150, 290])(
  "after kill -9 when %i of 300 connections were stored, storing them again leaves each written once",
  async (killAfter) => {
    await using context = await createTestVault();
    const parents = await storeParents(context.vault);
    const all = Array.from({ length: CONNECTIONS }, (_, n) =>
      desiredConnection(idsOf(parents), { connectionId: `c${n}` }),
    );

    const reported = await storeUntilKilled(context, all, killAfter);
    const successor = await context.successor();
    await Promise.all(all.map((desired) => storeConnection(successor, desired)));

    expect(reported).toBeGreaterThanOrEqual(killAfter);
    const [counts] = await context.database.query(
      `select count(*) as rows, count(distinct owner_uid) as owners, max(revision) as revision,
              (select count(*) from keystead.audit_events where action = 'connection.created') as events
         from keystead.connections`,
    );
    expect(counts).toEqual({ rows: CONNECTIONS, owners: CONNECTIONS, revision: 1, events: CONNECTIONS });
    const { keyDigest } = parents;
    const reads = await Promise.all(
      all.map(({ connectionId }) =>
        readConnection(context.vault, { keyDigest, providerConfigKey: "github", connectionId }),
      ),
    );
    expect(reads.filter(({ kind }) => kind !== "found")).toEqual([]);
  },
);

/** How many connections the process reported as stored before it was gone. */
async function storeUntilKilled(
  { url, keyText }: TestVault,
  connections: readonly DesiredConnection[],
  killAfter: number,
): Promise<number> {
  const child = spawn(process.execPath, [PROGRAM], {
    stdio: ["pipe", "pipe", "inherit"],
  });
  child.stdin.end(JSON.stringify({ url, key: keyText, connections }));
  const closed = once(child, "close");
  let reported = 0;
  createInterface({ input: child.stdout }).on("line", () => {
    reported += 1;
    if (reported === killAfter) child.kill("SIGKILL");
  });
  await closed;
  return reported;
}
