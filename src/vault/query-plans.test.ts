import { expect, test } from "vitest";
import { apiKey, createTestVault, desiredConnection, idsOf, storeParents } from "../../test/support/vault.ts";
import type { TestVault } from "../../test/support/vault.ts";
import { statement } from "../db/statement.ts";
import { describeConnections } from "./describe-connections.ts";
import { readConnection } from "./read-connection.ts";
import { storeConnection } from "./store-connection.ts";

const ROWS = 2_000;
const ASKED = 200;

/*
 * A fresh installation has no statistics, and a prepared statement keeps the plan it made while its tables were empty.
 * A plan that goes through all of an environment's index entries for one row is invisible there, and costs twenty times
 * as much once the rows have come.
 */
test("reads planned on empty tables, and stores planned without statistics, touch only the rows they are about", async () => {
  await using context = await createTestVault();
  const parents = await storeParents(context.vault);
  const { keyDigest } = parents;
  const read = (connectionId: string) =>
    readConnection(context.vault, { keyDigest, providerConfigKey: "github", connectionId });
  // From the sixth time on Postgres keeps one plan for all values, on each of the two connections.
  for (let time = 0; time < 10; time += 1) await Promise.all([read("nothing yet"), read("nothing yet")]);
  const all = Array.from({ length: ROWS }, (_, n) => desiredConnection(idsOf(parents), { connectionId: `c${n}` }));

  await Promise.all(all.map((desired) => storeConnection(context.vault, desired)));
  // Looking for what is there finds nothing, however full the table has become.
  expect(await entriesRead(context)).toEqual({ byIndex: 0, sequentially: 0 });

  const asked = all.slice(0, ASKED);
  await Promise.all(asked.map(({ connectionId }) => read(connectionId)));
  expect(await entriesRead(context)).toEqual({ byIndex: ASKED, sequentially: 0 });

  await describeConnections(
    context.vault,
    asked.map(({ owner }) => owner.uid),
  );
  expect(await entriesRead(context)).toEqual({ byIndex: 2 * ASKED, sequentially: 0 });

  // One entry to describe the row, one to update it; versions that an update left behind may be met once more.
  await Promise.all(asked.map((desired) => storeConnection(context.vault, { ...desired, credentials: apiKey("new") })));
  const { byIndex, sequentially } = await entriesRead(context);
  expect(byIndex).toBeLessThanOrEqual(5 * ASKED);
  expect(sequentially).toBe(0);
});

const FLUSH = statement("flush", "select pg_stat_force_next_flush()");

/** Index entries of `connections` that anything has gone through so far, and rows that were read without an index. */
async function entriesRead({ database }: TestVault) {
  // Sessions publish what they have counted when they please; these are all sessions the vault has.
  await Promise.all([database.read(FLUSH, []), database.read(FLUSH, [])]);
  await Promise.all(Array.from({ length: 4 }, () => database.query(`${FLUSH.text}, pg_sleep(0.05)`)));
  const [row] = await database.query<{ byIndex: number; sequentially: number }>(
    `select sum(i.idx_tup_read)::int8 as "byIndex", max(t.seq_tup_read) as "sequentially"
       from pg_stat_user_indexes i
       join pg_stat_user_tables t using (relid)
      where i.schemaname = 'keystead' and i.relname = 'connections'`,
  );
  return row ?? expect.unreachable();
}
