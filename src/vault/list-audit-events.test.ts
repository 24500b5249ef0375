import { afterAll, beforeAll, expect, test } from "vitest";
import { query } from "../../test/support/database.ts";
import { createTestVault, type Parents, storeParents, type TestVault } from "../../test/support/vault.ts";
import { statement } from "../db/statement.ts";
import { listAuditEvents, type ListAuditEventsOptions, PART, PARTS } from "./list-audit-events.ts";

// A large table of events, of which hardly any is looked for.

const EVENTS = 300_000;

let context: TestVault;
let parents: Parents;

beforeAll(async () => {
  context = await createTestVault();
  // The oldest events of all: those that made these.
  parents = await storeParents(context.vault);
  await query(
    context.ownerUrl,
    `insert into keystead.audit_events (environment_id, actor_kind, actor, action, target_kind, target_id, target_revision)
     select $1, 'key', '0123456789ab', 'connection.credentials-read', 'connection',
            '01900000-0000-7000-8000-000000000001', 1
       from generate_series(1, $2)`,
    [parents.environmentId, EVENTS],
  );
});
afterAll(() => context[Symbol.asyncDispose]());

const list = (options: Partial<ListAuditEventsOptions>) =>
  listAuditEvents(
    context.vault,
    { keyDigest: parents.keyDigest, scopes: ["audit_events:read"] },
    { limit: 100, ...options },
  );

const FLUSH = statement("flush", "select pg_stat_force_next_flush()");

/** Index entries of `audit_events` that were gone through, and rows that were read without an index. */
async function entriesRead(): Promise<{ byIndex: number; sequentially: number }> {
  const { database } = context;
  await Promise.all([database.read(FLUSH, []), database.read(FLUSH, [])]);
  await Promise.all(Array.from({ length: 4 }, () => database.query(`${FLUSH.text}, pg_sleep(0.05)`)));
  const [row] = await database.query<{ byIndex: number; sequentially: number }>(
    `select (select sum(idx_tup_read)::int8 from pg_stat_user_indexes where relname like 'audit\\_events%') as "byIndex",
            (select sum(seq_tup_read)::int8 from pg_stat_user_tables where relname like 'audit\\_events%') as "sequentially"`,
  );
  return row ?? expect.unreachable();
}

test("a filter that hardly any event matches is answered part by part, and finds it", async () => {
  let next: string | undefined;
  let answers = 0;
  const found: string[] = [];
  do {
    const before = await entriesRead();
    const page = await list({ action: "environment.created", after: next });
    const after = await entriesRead();
    // Once to see where the part ends, and once to look at its events.
    expect(after.byIndex - before.byIndex).toBeLessThan(2.5 * PART * PARTS);
    expect(after.sequentially - before.sequentially).toBe(0);
    found.push(...page.events.map(({ action }) => action));
    answers += 1;
    ({ next } = page);
  } while (next !== undefined);
  expect([found, answers]).toEqual([["environment.created"], Math.ceil(EVENTS / (PART * PARTS))]);
});

test("without a filter no more is looked at than is given", async () => {
  const before = await entriesRead();
  const { events, next } = await list({});
  const after = await entriesRead();
  expect([events.length, next]).toEqual([100, events.at(-1)?.id]);
  expect(after.byIndex - before.byIndex).toBeLessThan(1_000);
});

test("the list that a cursor continues is all there is, each event once", async () => {
  const ids = new Set<string>();
  let next: string | undefined;
  do {
    const page = await list({ limit: 100_000, actor: "0123456789ab", after: next });
    for (const { id } of page.events) ids.add(id);
    ({ next } = page);
  } while (next !== undefined);
  expect(ids.size).toBe(EVENTS);
});

test("times leave out whole days before anything is looked at", async () => {
  const before = await entriesRead();
  const { events, next } = await list({ to: new Date(Date.now() - 3 * 86_400_000) });
  const after = await entriesRead();
  expect([events, next]).toEqual([[], undefined]);
  expect(after.byIndex - before.byIndex).toBeLessThan(1_000);
});
