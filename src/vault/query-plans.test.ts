import { expect, test } from "vitest";
import { query } from "../../test/support/database.ts";
import { insertDeletedConnections } from "../../test/support/deleted-rows.ts";
import { insertConnections } from "../../test/support/many-connections.ts";
import { apiKey, createTestVault, desiredConnection, idsOf, storeParents } from "../../test/support/vault.ts";
import type { TestVault } from "../../test/support/vault.ts";
import { statement } from "../db/statement.ts";
import type { DesiredConnection } from "./connection.ts";
import { describeConnections } from "./describe-connections.ts";
import { endExpiredKeys } from "./end-expired-keys.ts";
import type { PurgeOptions } from "./purge-connections.ts";
import { listConnections } from "./list-connections.ts";
import { purgeEnvironment } from "./purge-environment.ts";
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

  const stored = await touchedBy(context, () =>
    Promise.all(all.map((desired) => storeConnection(context.vault, desired))),
  );
  // Looking for what is there finds nothing, however full the table has become. Before Postgres 17 a table of some
  // hundred rows is read as a whole for a batch of ids, which is as cheap.
  expect(stored.byIndex).toBe(0);
  expect(stored.sequentially).toBeLessThan(2 * ROWS);

  const asked = all.slice(0, ASKED);
  const reads = await touchedBy(context, () => Promise.all(asked.map(({ connectionId }) => read(connectionId))));
  expect(reads).toEqual({ byIndex: ASKED, sequentially: 0 });

  const uids = asked.map(({ owner }) => owner.uid);
  const described = await touchedBy(context, () => describeConnections(context.vault, uids));
  expect(described.byIndex + described.sequentially).toBeLessThanOrEqual(ROWS);

  // One entry to describe the row, one to update it; versions that an update left behind may be met once more.
  const edit = (desired: DesiredConnection) =>
    storeConnection(context.vault, { ...desired, credentials: apiKey("new") });
  const updated = await touchedBy(context, () => Promise.all(asked.map(edit)));
  expect(updated.byIndex).toBeLessThanOrEqual(3 * ASKED);
  expect(updated.sequentially).toBe(0);
});

test("a purge of a table without statistics meets each row a few times, not all of them in each batch", async () => {
  await using context = await createTestVault();
  const parents = await storeParents(context.vault);
  await insertDeletedConnections(context.ownerUrl, 3 * ROWS);
  const options: PurgeOptions = {
    actor: { kind: "system", name: "purger" },
    pace: { signal: new AbortController().signal, share: 1 },
    locked: "skip",
  };
  const purged = await touchedBy(context, () => purgeEnvironment(context.vault, parents.environmentId, options));
  // Once to find it and once to remove it.
  expect(purged.byIndex).toBeLessThan(3 * 3 * ROWS);
  expect(purged.sequentially).toBe(0);
});

test.each([
  ["one connection id", { connectionId: "c1000" }, 1],
  ["one end user", { endUserId: "u7" }, 20],
  ["one end user, with tags as well", { endUserId: "u7", tags: { third: "1" } }, 7],
])("a list of %s meets the rows that match, with and without statistics", async (_of, filters, count) => {
  await using context = await createTestVault();
  const { keyDigest } = await storeParents(context.vault);
  await insertConnections(context.ownerUrl, ROWS);
  await query(
    context.ownerUrl,
    `update keystead.connections
        set end_user = jsonb_build_object('id', 'u' || (numeric_id % 100)),
            tags = tags || jsonb_build_object('third', (numeric_id / 100 % 3)::text)`,
  );
  for (const statistics of ["without", "with"]) {
    if (statistics === "with") await query(context.ownerUrl, "vacuum analyze keystead.connections");
    let found = 0;
    const read = await touchedBy(context, async () => {
      const list = await listConnections(context.vault, { keyDigest, ...filters, limit: 501, offset: 0 });
      found = list.kind === "found" ? list.connections.length : 0;
    });
    expect(found).toBe(count);
    // Versions that the update left behind may be met as well.
    expect(read.byIndex, statistics).toBeLessThanOrEqual(3 * 20);
    expect(read.sequentially, statistics).toBe(0);
  }
});

test("erasing expired keys meets those alone, however many keys there are that have an end or none", async () => {
  await using context = await createTestVault();
  const { environmentId } = await storeParents(context.vault);
  await insertNamedKeys(context, environmentId, 10 * ROWS);
  const erased = await touchedBy(context, () => endExpiredKeys(context.vault, { kind: "system", name: "purger" }), [
    "secret_keys",
    "key_digests",
  ]);
  // Each is found by its end, found by its id, locked, and removed with its digest.
  expect(erased.byIndex).toBeLessThan(10 * EXPIRED);
  expect(erased.sequentially).toBe(0);
});

const EXPIRED = 20;

/** The first of them have expired; every second of the others will. */
async function insertNamedKeys({ ownerUrl }: TestVault, environmentId: string, count: number): Promise<void> {
  await query(
    ownerUrl,
    `with keys as (
       insert into keystead.secret_keys (
         environment_id, secret_key_id, name, secret_key_sealed, secret_key_revision, fingerprint
       )
       select environment_id, gen_random_uuid(), 'k' || n, secret_key_sealed, 1, 'f'
         from keystead.secret_keys, generate_series(1, $2::int) n
        where environment_id = $1
       returning environment_id, secret_key_id, substr(name, 2)::int as n
     )
     insert into keystead.key_digests (digest, environment_id, secret_key_id, scopes, expires_at)
     select sha256(secret_key_id::text::bytea), environment_id, secret_key_id, '{}',
            case when n <= $3::int then now() when n % 2 = 0 then now() + interval '1 day' end
       from keys`,
    [environmentId, count, EXPIRED],
  );
  // As autovacuum does within a minute: a table without statistics may be read as a whole.
  await query(ownerUrl, "analyze keystead.secret_keys, keystead.key_digests");
}

interface Touched {
  readonly byIndex: number;
  readonly sequentially: number;
}

/** Index entries of the tables that the work goes through, and rows that it reads without an index. */
async function touchedBy(
  context: TestVault,
  work: () => Promise<unknown>,
  tables: readonly string[] = ["connections"],
): Promise<Touched> {
  const before = await entriesRead(context, tables);
  await work();
  const after = await entriesRead(context, tables);
  return { byIndex: after.byIndex - before.byIndex, sequentially: after.sequentially - before.sequentially };
}

const FLUSH = statement("flush", "select pg_stat_force_next_flush()");

async function entriesRead({ database }: TestVault, tables: readonly string[]): Promise<Touched> {
  // Sessions publish what they have counted when they please; these are all sessions the vault has.
  await Promise.all([database.read(FLUSH, []), database.read(FLUSH, [])]);
  await Promise.all(Array.from({ length: 4 }, () => database.query(`${FLUSH.text}, pg_sleep(0.05)`)));
  const [row] = await database.query<Touched>(
    `select (select sum(idx_tup_read)::int8 from pg_stat_user_indexes
              where schemaname = 'keystead' and relname = any($1)) as "byIndex",
            (select sum(seq_tup_read)::int8 from pg_stat_user_tables
              where schemaname = 'keystead' and relname = any($1)) as "sequentially"`,
    [tables],
  );
  return row ?? expect.unreachable();
}
