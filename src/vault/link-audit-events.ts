import { type AuditLinkContent, auditLinkMac, BEFORE_CHAIN, type EventPosition } from "../crypto/audit-mac.ts";
import type { Queryable } from "../db/session-pool.ts";
import { AUDIT_EVENT_TEXT } from "./audit-event-text.ts";
import type { AuditKeys } from "./audit-keys.ts";
import type { Vault } from "./context.ts";

/** Events of one link: 40 KB in the row, and some ten milliseconds. */
const LINK_SIZE = 1_000;

/** Any fixed number that no other lock has: one process at a time adds to the chain, and the others do not wait. */
const CHAIN_LOCK = 7_310_402_191;

const NOWHERE: EventPosition = { transaction: "0", event: 0 };

/** The newest link, as the log shows it and `keystead audit verify --head` takes it. */
export interface ChainHead {
  readonly sequence: number;
  readonly mac: Buffer;
}

/** What adding to the chain came to. */
export interface Linked {
  /** How many events; `LINK_SIZE` when there may be more. */
  readonly events: number;
  readonly more: boolean;
  /** Undefined while there is no link at all, or when another process is at it. */
  readonly head: ChainHead | undefined;
}

interface Head extends ChainHead {
  readonly through: EventPosition;
  readonly aboveEvent: number;
  /** No unlinked event is older than this instant, as Postgres writes it. */
  readonly searchFrom: string;
}

interface EventRow {
  readonly transaction: string;
  readonly event_id: number;
  readonly day: string;
  readonly digest: Buffer;
}

/**
 * Adds to the chain what was committed since: whoever wrote it, so that the events of a process that died are linked by any
 * other. An event is taken once all transactions that began before its own have ended: then nothing can come before it any
 * more. Does nothing while another process is at it. Rejects with a `database_*` error.
 */
export async function linkAuditEvents({ database, auditKeys }: Pick<Vault, "database" | "auditKeys">): Promise<Linked> {
  const { head: known, mayBeMore } = await look(database);
  if (!mayBeMore) return { events: 0, more: false, head: known };
  return database.transaction(async (transaction) => {
    if (!(await holdChain(transaction))) return { events: 0, more: false, head: undefined };
    const last = await readHead(transaction);
    const events = await readUnlinked(transaction, last);
    const more = events.length === LINK_SIZE;
    let head = more ? last : { ...last, searchFrom: await nextSearchFrom(transaction, last, events) };
    for (const ofOneDay of runsOfOneDay(events)) head = await addLink(transaction, auditKeys, head, ofOneDay);
    return { events: events.length, more, head: head.sequence > 0 ? head : undefined };
  });
}

/** The newest link, and whether an event may be waiting for one: a statement a second is all that an idle process costs. */
async function look(database: Queryable): Promise<{ head: ChainHead | undefined; mayBeMore: boolean }> {
  const [row] = await database.query<{ sequence: number | null; mac: Buffer; more: boolean }>(
    `select l.sequence, l.mac,
            coalesce(l.through_transaction >= pg_snapshot_xmax(pg_current_snapshot()), false)
            or exists (
              select from keystead.audit_events a
               where (a.transaction_id, a.event_id) > (coalesce(l.through_transaction, '0'::xid8), coalesce(l.through_event, 0))
                 and a.event_id > coalesce(l.above_event, 0)
                 and a.occurred_at >= coalesce(l.search_from, '-infinity')
            ) as more
       from (values (1)) as one
       left join lateral (
         select * from keystead.audit_links order by sequence desc limit 1
       ) l on true`,
  );
  if (!row || row.sequence === null) return { head: undefined, mayBeMore: row?.more ?? true };
  return { head: { sequence: row.sequence, mac: row.mac }, mayBeMore: row.more };
}

/** Whether the caller's transaction is the one that may add to the chain, until its end. */
export async function holdChain(transaction: Queryable): Promise<boolean> {
  const [lock] = await transaction.query<{ held: boolean }>("select pg_try_advisory_xact_lock($1) as held", [
    CHAIN_LOCK,
  ]);
  return lock?.held === true;
}

/** As the log has it. */
export function headText({ sequence, mac }: ChainHead): string {
  return `${sequence}:${mac.toString("hex")}`;
}

/** Where the chain goes on; for who holds it. */
export async function readHead(transaction: Queryable): Promise<Head> {
  const [row] = await transaction.query<{
    sequence: number;
    mac: Buffer;
    through_transaction: string;
    through_event: number;
    above_event: number;
    search_from: string;
    restored: boolean;
  }>(
    `select sequence, mac, through_transaction::text, through_event, above_event, search_from::text,
            through_transaction >= pg_snapshot_xmax(pg_current_snapshot()) as restored
       from keystead.audit_links
      order by sequence desc
      limit 1`,
  );
  if (!row) return { sequence: 0, mac: BEFORE_CHAIN, through: NOWHERE, aboveEvent: 0, searchFrom: "-infinity" };
  const { sequence, mac, search_from: searchFrom } = row;
  if (row.restored) {
    return { sequence, mac, through: NOWHERE, aboveEvent: await lastLinkedEvent(transaction), searchFrom };
  }
  const through = { transaction: row.through_transaction, event: row.through_event };
  return { sequence, mac, through, aboveEvent: row.above_event, searchFrom };
}

/**
 * A dump was read into another server, which counts its transactions anew: only what is written there counts from here on. Ids
 * are given out in the order of time, so the highest is among those of the last days.
 */
async function lastLinkedEvent(transaction: Queryable): Promise<number> {
  const [row] = await transaction.query<{ last: number | null }>(
    `select max(id) as last
       from keystead.audit_links cross join unnest(event_ids) as id
      where day >= (select max(day) - 1 from keystead.audit_links)`,
  );
  return row?.last ?? 0;
}

/** The bound on the time spares all older partitions. */
async function readUnlinked(transaction: Queryable, { through, aboveEvent, searchFrom }: Head): Promise<EventRow[]> {
  return transaction.query<EventRow>(
    `select transaction_id::text as transaction, event_id, (occurred_at at time zone 'UTC')::date::text as day,
            sha256(convert_to(${AUDIT_EVENT_TEXT}, 'UTF8')) as digest
       from keystead.audit_events
      where (transaction_id, event_id) > ($1::xid8, $2::bigint)
        and transaction_id < pg_snapshot_xmin(pg_current_snapshot())
        and event_id > $3
        and occurred_at >= $4::timestamptz
      order by transaction_id, event_id
      limit ${LINK_SIZE}`,
    [through.transaction, through.event, aboveEvent, searchFrom],
  );
}

/**
 * Where the next search begins once all that can be linked is: at the oldest event that has to wait, and a day ago at most.
 * Waiting are those that another transaction on the server holds up, and those that a dump brought along unlinked.
 */
async function nextSearchFrom(
  transaction: Queryable,
  { through, aboveEvent, searchFrom }: Head,
  linked: readonly EventRow[],
): Promise<string> {
  const last = linked.at(-1);
  const [row] = await transaction.query<{ search_from: string }>(
    `select least(min(occurred_at), clock_timestamp() - interval '1 day')::text as search_from
       from keystead.audit_events
      where (transaction_id, event_id) > ($1::xid8, $2::bigint)
        and event_id > $3
        and occurred_at >= $4::timestamptz`,
    [last?.transaction ?? through.transaction, last?.event_id ?? through.event, aboveEvent, searchFrom],
  );
  return row?.search_from ?? searchFrom;
}

/** Around midnight transactions overlap; each link is of one day, so that days can be dropped. Pure. */
function runsOfOneDay(events: readonly EventRow[]): EventRow[][] {
  const runs: EventRow[][] = [];
  for (const event of events) {
    const run = runs.at(-1);
    if (run?.[0]?.day === event.day) run.push(event);
    else runs.push([event]);
  }
  return runs;
}

async function addLink(
  transaction: Queryable,
  { current }: AuditKeys,
  head: Head,
  events: readonly EventRow[],
): Promise<Head> {
  const last = events.at(-1);
  if (!last) return head;
  const link: AuditLinkContent = {
    sequence: head.sequence + 1,
    auditKeyId: current.id,
    linkedAt: await clock(transaction),
    day: last.day,
    after: head.through,
    through: { transaction: last.transaction, event: last.event_id },
    aboveEvent: head.aboveEvent,
    eventIds: events.map((event) => event.event_id),
    digests: Buffer.concat(events.map(({ digest }) => digest)),
  };
  const mac = auditLinkMac(current, head.mac, link);
  await transaction.query(
    `insert into keystead.audit_links (
       sequence, audit_key_id, linked_at, day, after_transaction, after_event, through_transaction, through_event,
       above_event, event_ids, digests, mac, search_from
     ) values ($1, $2, $3, $4, $5::xid8, $6, $7::xid8, $8, $9, $10, $11, $12, $13)`,
    [
      link.sequence,
      link.auditKeyId,
      link.linkedAt,
      link.day,
      link.after.transaction,
      link.after.event,
      link.through.transaction,
      link.through.event,
      link.aboveEvent,
      link.eventIds.map(String),
      link.digests,
      mac,
      head.searchFrom,
    ],
  );
  return { ...link, mac, searchFrom: head.searchFrom };
}

/** The database's, to the millisecond: what a link says of it has to be what is read again. */
async function clock(transaction: Queryable): Promise<Date> {
  const [row] = await transaction.query<{ now: Date }>("select clock_timestamp() as now");
  return row?.now ?? new Date();
}
