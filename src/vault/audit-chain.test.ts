import { expect, test } from "vitest";
import { withClient } from "../../test/support/database.ts";
import { eventually } from "../../test/support/eventually.ts";
import {
  createTestVault,
  desiredConnection,
  idsOf,
  storeExample,
  storeParents,
  type TestVault,
} from "../../test/support/vault.ts";
import { createKeyEncryptionKeys, generateKeyEncryptionKey } from "../crypto/kek.ts";
import { Secret } from "../crypto/secret.ts";
import { findAuditKeys } from "./audit-keys.ts";
import { dropAuditDays, prepareAuditDays } from "./drop-audit-days.ts";
import { type ChainHead, linkAuditEvents } from "./link-audit-events.ts";
import { readConnection } from "./read-connection.ts";
import { storeConnection } from "./store-connection.ts";
import { openVault } from "./vault.ts";
import { verifyAuditChain, type VerifyAuditOptions } from "./verify-audit.ts";
import { wrapDataKeys } from "./wrap-data-keys.ts";

/** Transaction ids that the other tests on the server do not use up meanwhile. */
const FAR_AHEAD = 50_000;

/** As whoever owns the database: the running role could do none of this. */
function tamper({ ownerUrl }: TestVault, text: string): Promise<unknown> {
  return withClient(ownerUrl, (client) => client.query(text));
}

function verify({ vault, database }: TestVault, options: Partial<VerifyAuditOptions> = {}) {
  return verifyAuditChain(database, { keys: vault.auditKeys, ...options });
}

/**
 * One link for all that is there, if it is of one day. Transactions of other databases on the server are waited for as well, and
 * other tests have some under way: what could be linked before they end would have a link of its own.
 */
async function linkAll(context: TestVault): Promise<ChainHead> {
  return eventually(async () => {
    const [events] = await context.database.query<{ held: boolean }>(
      `select coalesce(max(transaction_id) >= pg_snapshot_xmin(pg_current_snapshot()), false) as held
         from keystead.audit_events`,
    );
    expect(events).toEqual({ held: false });
    const { head } = await linkAuditEvents(context.vault);
    expect(await verify(context)).toMatchObject({ unlinked: 0 });
    return head ?? expect.unreachable("nothing was linked");
  });
}

/** Three links: of an environment and its integration, of a connection, and of a read of it. */
async function linkedExample(context: TestVault): Promise<{ head: { sequence: number; mac: Buffer } }> {
  const parents = await storeParents(context.vault);
  await linkAll(context);
  await storeConnection(context.vault, desiredConnection(idsOf(parents)));
  await linkAll(context);
  const { keyDigest } = parents;
  await readConnection(context.vault, { keyDigest, providerConfigKey: "github", connectionId: "acme" });
  const head = await linkAll(context);
  return { head };
}

test("a chain over everything that was written is whole, and an event that is not linked yet is counted", async () => {
  await using context = await createTestVault();
  await linkedExample(context);
  expect(await verify(context)).toMatchObject({ events: 4, first: 1, unlinked: 0, idsWithoutEvent: 0 });
  await storeParents(context.vault);
  const report = await verify(context);
  expect(report).toMatchObject({ events: 4, unlinked: 2, idsWithoutEvent: 0 });
  expect(report.break).toBeUndefined();
});

test("linking when nothing was written adds nothing, and an empty chain is whole", async () => {
  await using context = await createTestVault();
  expect(await linkAuditEvents(context.vault)).toEqual({ events: 0, more: false, head: undefined });
  expect((await verify(context)).break).toBeUndefined();
});

const SECOND = "where event_id = 2";

test.each([
  [
    "an event that was changed",
    `update keystead.audit_events set actor = 'somebody' ${SECOND}`,
    { eventId: 2, problem: "this event was changed" },
  ],
  [
    "an event whose time was changed",
    `update keystead.audit_events set occurred_at = occurred_at + interval '1 microsecond' ${SECOND}`,
    { eventId: 2, problem: "this event was changed" },
  ],
  [
    "an event that was removed",
    `delete from keystead.audit_events ${SECOND}`,
    { eventId: 2, problem: "this event was removed" },
  ],
  [
    "two events that changed places",
    "alter table keystead.audit_events alter event_id drop identity; update keystead.audit_events set event_id = 3 - event_id where event_id in (1, 2)",
    { eventId: 1 },
  ],
  [
    "an event that was inserted among those of a link",
    `insert into keystead.audit_events overriding system value select (jsonb_populate_record(e, '{"event_id": 1000}')).* from keystead.audit_events e where event_id = 1`,
    { eventId: 1000 },
  ],
  [
    "an event that was inserted on another day",
    `insert into keystead.audit_events overriding system value select (jsonb_populate_record(e, jsonb_build_object('event_id', 1000, 'occurred_at', now() + interval '2 days'))).* from keystead.audit_events e where event_id = 1`,
    { eventId: 1000, problem: "this event was inserted later: no link covers it" },
  ],
  [
    "a link that was removed",
    "delete from keystead.audit_links where sequence = 2",
    { sequence: 2, problem: "this link was removed" },
  ],
  [
    "the first link removed",
    "delete from keystead.audit_links where sequence = 1",
    { sequence: 1, problem: "this link was removed" },
  ],
  [
    "links that changed places",
    "update keystead.audit_links set sequence = -sequence; update keystead.audit_links set sequence = case -sequence when 1 then 2 when 2 then 1 else -sequence end",
    { sequence: 1 },
  ],
  [
    "a link that was changed with its event",
    `update keystead.audit_events set actor = 'x' ${SECOND}; update keystead.audit_links set digests = sha256('x') || sha256('y') where sequence = 1`,
    { sequence: 1, problem: "this link, or the one before it, was changed" },
  ],
  [
    "a link of a key that nobody has",
    "update keystead.audit_links set audit_key_id = gen_random_uuid() where sequence = 1",
    { sequence: 1 },
  ],
])("%s is named as the first break", async (_, text, expected) => {
  await using context = await createTestVault();
  await linkedExample(context);
  await tamper(context, text);
  expect((await verify(context)).break).toMatchObject(expected);
});

test("a chain that was cut off with its events is whole in itself, and a head that was logged before shows it", async () => {
  await using context = await createTestVault();
  const { head } = await linkedExample(context);
  expect((await verify(context, { head })).break).toBeUndefined();
  await tamper(
    context,
    `delete from keystead.audit_links where sequence = ${head.sequence}; delete from keystead.audit_events where event_id = 4`,
  );
  expect((await verify(context)).break).toBeUndefined();
  expect((await verify(context, { head })).break).toEqual({
    sequence: head.sequence,
    problem: "the chain was cut off before this logged head",
  });

  // Linked anew by a process that knows nothing of it, and yet another chain than the one that was logged.
  await storeParents(context.vault);
  await linkAll(context);
  expect((await verify(context)).break).toBeUndefined();
  expect((await verify(context, { head })).break).toMatchObject({
    sequence: head.sequence,
    problem: "this link is not the one whose head was logged",
  });
});

test("an event that is removed before it was linked leaves an id that no event has", async () => {
  await using context = await createTestVault();
  await storeExample(context.vault);
  await tamper(context, `delete from keystead.audit_events ${SECOND}`);
  await linkAll(context);
  expect(await verify(context)).toMatchObject({ events: 2, idsWithoutEvent: 1 });
});

test("an event of a transaction that commits late is linked after those that were committed before, and none is left out", async () => {
  await using context = await createTestVault();
  const other = await context.another();
  await other.database.transaction(async (transaction) => {
    await transaction.query("update keystead.reigns set holder = holder");
    await transaction.query(
      `insert into keystead.audit_events (environment_id, actor_kind, actor, action, target_kind, target_id)
       values (gen_random_uuid(), 'system', 'late', 'x.y', 'x', gen_random_uuid())`,
    );
    await context.database.query(
      `insert into keystead.audit_events (environment_id, actor_kind, actor, action, target_kind, target_id)
       values (gen_random_uuid(), 'system', 'early', 'x.y', 'x', gen_random_uuid())`,
    );
    // The other may still commit something that comes before it.
    expect(await linkAuditEvents(context.vault)).toMatchObject({ events: 0 });
  });
  await linkAll(context);
  expect(await verify(context)).toMatchObject({ events: 2 });
  expect((await verify(context)).break).toBeUndefined();
});

test("a backlog of days is linked to its end, however many links that takes", async () => {
  await using context = await createTestVault();
  await context.database.query(
    `insert into keystead.audit_events (environment_id, occurred_at, actor_kind, actor, action, target_kind, target_id)
     select gen_random_uuid(), now() - interval '3 days', 'system', 'old', 'x.y', 'x', gen_random_uuid()
       from generate_series(1, 2500)`,
  );
  await storeParents(context.vault);
  await linkAll(context);
  const report = await verify(context);
  expect(report).toMatchObject({ events: 2502, unlinked: 0 });
  expect(report.break).toBeUndefined();
});

test("an old event that a dump brought along is linked when the transaction ids of the server have passed its own", async () => {
  await using context = await createTestVault();
  await context.database.query(
    `insert into keystead.audit_events (
       environment_id, occurred_at, actor_kind, actor, action, target_kind, target_id, transaction_id
     ) values (gen_random_uuid(), now() - interval '90 days', 'system', 'old', 'x.y', 'x', gen_random_uuid(),
       (pg_current_xact_id()::text::bigint + ${FAR_AHEAD})::text::xid8)`,
  );
  await storeParents(context.vault);
  await eventually(async () => {
    await linkAuditEvents(context.vault);
    expect(await verify(context)).toMatchObject({ events: 2, unlinked: 1 });
  });
  await tamper(
    context,
    `do $$ begin for id in 0..${FAR_AHEAD} loop perform pg_current_xact_id(); commit; end loop; end $$`,
  );
  await storeParents(context.vault);
  await linkAll(context);
  expect(await verify(context)).toMatchObject({ events: 5, unlinked: 0 });
  expect((await verify(context)).break).toBeUndefined();
});

test("of several processes at once one links, the others do not wait, and the chain is one", async () => {
  await using context = await createTestVault();
  const others = await Promise.all([1, 2, 3].map(() => context.another()));
  for (let round = 0; round < 5; round += 1) {
    await Promise.all([storeParents(context.vault), ...others.map((vault) => linkAuditEvents(vault))]);
  }
  await linkAll(context);
  expect(await verify(context)).toMatchObject({ events: 10, unlinked: 0 });
  expect((await verify(context)).break).toBeUndefined();

  await context.database.transaction(async (transaction) => {
    await transaction.query("select pg_advisory_xact_lock(7310402191)");
    await storeParents(context.vault);
    for (const vault of others) expect(await linkAuditEvents(vault)).toMatchObject({ events: 0, head: undefined });
  });
});

test("a chain goes on over a change of the encryption key, and what was linked before is verified with the new one alone", async () => {
  await using context = await createTestVault();
  await linkedExample(context);
  const newText = generateKeyEncryptionKey();
  const keys = createKeyEncryptionKeys(new Secret(newText), [new Secret(context.keyText)]);
  const both = await openVault({ database: context.database, keys });
  await wrapDataKeys(both, { missing: () => undefined, made: () => undefined }, new AbortController().signal);
  await storeParents(context.vault);
  await linkAuditEvents(both);
  const alone = await findAuditKeys(context.database, createKeyEncryptionKeys(new Secret(newText)));
  expect((await verify(context, { keys: alone })).break).toBeUndefined();
  const foreign = await findAuditKeys(
    context.database,
    createKeyEncryptionKeys(new Secret(generateKeyEncryptionKey())),
  );
  expect((await verify(context, { keys: foreign })).break?.problem).toContain("no configured encryption key opens");
});

test("days past the retention are dropped behind a checkpoint, and the rest of the chain is verified from there on", async () => {
  await using context = await createTestVault();
  const { head } = await agedExample(context);
  expect(await dropAuditDays(context.vault)).toHaveLength(1);
  expect(await dropAuditDays(context.vault)).toEqual([]);
  const report = await verify(context, { head });
  expect(report).toMatchObject({ first: 2, events: 2, droppedThrough: expect.stringMatching(/^\d{4}-/) });
  expect(report.break).toBeUndefined();

  await tamper(context, "update keystead.audit_checkpoints set link_mac = sha256('x')");
  expect((await verify(context)).break).toMatchObject({ problem: "the checkpoint was changed" });
  await tamper(context, "delete from keystead.audit_checkpoints");
  expect((await verify(context)).break).toMatchObject({ sequence: 1, problem: "this link was removed" });
});

test("a day of 80,000 events with a link for each is dropped", { timeout: 60_000 }, async () => {
  await using context = await createTestVault();
  await tamper(
    context,
    `insert into keystead.audit_events (environment_id, occurred_at, actor_kind, actor, action, target_kind, target_id)
     select gen_random_uuid(), date_trunc('day', now() - interval '500 days', 'UTC') + make_interval(secs => i),
            'system', 'old', 'x.y', 'x', gen_random_uuid()
       from generate_series(1, 80000) i`,
  );
  await prepareAuditDays(context.vault);
  await tamper(
    context,
    `insert into keystead.audit_links (
       sequence, audit_key_id, linked_at, day, after_transaction, after_event, through_transaction, through_event,
       above_event, event_ids, digests, mac
     )
     select row_number() over (order by event_id), gen_random_uuid(), now(), (occurred_at at time zone 'UTC')::date,
            transaction_id, event_id - 1, transaction_id, event_id, 0, array[event_id], '', ''
       from keystead.audit_events`,
  );
  expect(await dropAuditDays(context.vault)).toHaveLength(1);
  expect(await sequences(context)).toEqual([80_000]);
});

test("a day with an event that is not linked yet is not dropped", async () => {
  await using context = await createTestVault();
  await insertOldEvent(context);
  await prepareAuditDays(context.vault);
  expect(await dropAuditDays(context.vault)).toEqual([]);
});

test("a process that was killed after the checkpoint and before the drop leaves a chain that is whole", async () => {
  await using context = await createTestVault();
  await agedExample(context);
  await tamper(context, "alter function keystead.drop_audit_day(date) rename to taken_away");
  await expect(dropAuditDays(context.vault)).rejects.toMatchObject({ code: "database_error" });
  expect((await verify(context)).break).toBeUndefined();
  await tamper(context, "alter function keystead.taken_away(date) rename to drop_audit_day");
  expect(await dropAuditDays(context.vault)).toHaveLength(1);
  expect((await verify(context)).break).toBeUndefined();
});

test("the running role drops no link of a day that is kept, whatever checkpoint it invents", async () => {
  await using context = await createTestVault();
  await agedExample(context);
  await storeParents(context.vault);
  await linkAll(context);
  await inventCheckpoint(context, "2000-01-01");
  await context.database.query("select keystead.drop_audit_day('2000-01-01')");
  expect(await sequences(context)).toEqual([1, 2, 3]);

  // Of a day past the retention that has a partition, what is of that day goes, and no more.
  const old = await dayOf(context, "select min(day)::text as day from keystead.audit_links");
  await inventCheckpoint(context, old);
  await context.database.query("select keystead.drop_audit_day($1)", [old]);
  expect(await sequences(context)).toEqual([2, 3]);

  const today = await dayOf(context, "select (now() at time zone 'UTC')::date::text as day");
  await inventCheckpoint(context, today);
  await expect(context.database.query("select keystead.drop_audit_day($1)", [today])).rejects.toMatchObject({
    code: "database_forbidden",
  });
  expect((await verify(context)).break).toMatchObject({ day: "2000-01-01" });
});

async function dayOf({ database }: TestVault, text: string): Promise<string> {
  const [row] = await database.query<{ day: string }>(text);
  return row?.day ?? expect.unreachable("no such day");
}

async function inventCheckpoint({ database }: TestVault, day: string): Promise<void> {
  await database.query(
    `insert into keystead.audit_checkpoints (day, sequence, link_mac, audit_key_id, mac)
     values ($1, 1000000, '', gen_random_uuid(), '')`,
    [day],
  );
}

async function sequences({ database }: TestVault): Promise<number[]> {
  const rows = await database.query<{ sequence: number }>("select sequence from keystead.audit_links order by 1");
  return rows.map(({ sequence }) => sequence);
}

/** A link of 500 days ago, and one of now. */
async function agedExample(context: TestVault): Promise<{ head: { sequence: number; mac: Buffer } }> {
  await insertOldEvent(context);
  await prepareAuditDays(context.vault);
  await linkAll(context);
  await storeParents(context.vault);
  const head = await linkAll(context);
  return { head };
}

async function insertOldEvent({ database }: TestVault): Promise<void> {
  await database.query(
    `insert into keystead.audit_events (environment_id, occurred_at, actor_kind, actor, action, target_kind, target_id)
     values (gen_random_uuid(), now() - interval '500 days', 'system', 'old', 'x.y', 'x', gen_random_uuid())`,
  );
}
