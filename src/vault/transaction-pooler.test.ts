import { expect, test } from "vitest";
import { actorOf, createTestVault, desiredConnection, idsOf, storeParents } from "../../test/support/vault.ts";
import { startTransactionPooler } from "../../test/support/transaction-pooler.ts";
import { Secret } from "../crypto/secret.ts";
import { checkSchema } from "../db/migrate.ts";
import { describeConnections } from "./describe-connections.ts";
import { listConnections } from "./list-connections.ts";
import { readConnection } from "./read-connection.ts";
import { softDeleteEnvironment } from "./soft-delete-environment.ts";
import { storeConnection } from "./store-connection.ts";

test.each([true, false])(
  "everything works through a pooler in transaction mode, prepared statements asked for: %s",
  async (preparedStatements) => {
    await using context = await createTestVault();
    await using pooler = await startTransactionPooler(context.url);
    const vault = await context.another({ url: new Secret(pooler.url), preparedStatements });
    await checkSchema(vault.database);
    const parents = await storeParents(vault);
    const { keyDigest, environment } = parents;
    const all = Array.from({ length: 100 }, (_, n) => desiredConnection(idsOf(parents), { connectionId: `c${n}` }));
    await Promise.all(all.map((desired) => storeConnection(vault, desired)));
    expect(
      await describeConnections(
        vault,
        all.map(({ owner }) => owner.uid),
      ),
    ).toHaveProperty("size", 100);
    expect(await listConnections(vault, { keyDigest, limit: 3, offset: 0 })).toHaveProperty("connections.length", 3);

    const reads = await Promise.all(
      all.map(({ connectionId }) => readConnection(vault, { keyDigest, providerConfigKey: "github", connectionId })),
    );
    expect(reads.map((read) => read.kind === "found" && read.connection.connectionId)).toEqual(
      all.map(({ connectionId }) => connectionId),
    );
    expect(await softDeleteEnvironment(vault, environment.owner.uid, actorOf(environment.owner))).toMatchObject({
      connections: 100,
    });
    // The limits were asked for at login, as with a direct connection, and given up for this pooler.
    expect(pooler.refusedParameters.size).toBeGreaterThan(0);
  },
);

test("through a pooler a transaction has its limits for itself alone, and leaves nothing in the session", async () => {
  await using context = await createTestVault();
  await using pooler = await startTransactionPooler(context.url);
  const { database } = await context.another({ url: new Secret(pooler.url), statementTimeoutMs: 100, poolSize: 1 });
  const stuck = database.transaction((transaction) => transaction.query("select pg_sleep(60)"));
  await expect(stuck).rejects.toMatchObject({ code: "database_timeout", details: { sqlState: "57014" } });
  for (let session = 0; session < 4; session += 1) {
    const [settings] = await database.query<{ timeout: string }>(
      "select current_setting('statement_timeout') as timeout",
    );
    expect(settings).toEqual({ timeout: "0" });
  }
});
