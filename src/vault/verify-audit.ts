import { timingSafeEqual } from "node:crypto";
import { auditCheckpointMac, auditEventDigest, auditLinkMac, BEFORE_CHAIN } from "../crypto/audit-mac.ts";
import type { Database } from "../db/database.ts";
import type { Queryable } from "../db/session-pool.ts";
import { AUDIT_EVENT_TEXT } from "./audit-event-text.ts";
import type { AuditKeys } from "./audit-keys.ts";
import { readCheckpoints, readLinks, type StoredCheckpoint, type StoredLink } from "./audit-links.ts";

/** Links read at once: with a thousand events each, 2 MB. */
const PAGE = 50;

const DIGEST_BYTES = 32;

/** What a walk over the chain works with. */
export interface VerifyAuditOptions {
  readonly keys: Pick<AuditKeys, "find">;
  /** A head that was logged: the chain has to contain it. */
  readonly head?: { readonly sequence: number; readonly mac: Buffer } | undefined;
  /** Told now and then. */
  readonly progress?: (links: number, ofLinks: number, events: number) => void;
}

/** Where the chain does not say what it said. */
export interface ChainBreak {
  /** The link; undefined for an event that no link covers. */
  readonly sequence?: number;
  readonly eventId?: number;
  readonly day?: string;
  readonly problem: string;
}

/** What the walk came to. */
export interface ChainReport {
  readonly links: number;
  readonly events: number;
  /** Links that are still there, the first and the last. */
  readonly first?: number;
  readonly last?: { readonly sequence: number; readonly mac: string; readonly linkedAt: string };
  /** The last day of those that were dropped at the end of their retention. */
  readonly droppedThrough?: string;
  /** Committed after the last link: they are linked within seconds while a process runs. */
  readonly unlinked: number;
  /** Ids given out between the first and the last linked event that no event has: rolled back, or removed before the link. */
  readonly idsWithoutEvent: number;
  /** The first break; undefined when there is none. */
  readonly break?: ChainBreak;
}

/** State of a walk. */
interface Walk {
  readonly transaction: Queryable;
  readonly options: VerifyAuditOptions;
  readonly droppedThrough: string | undefined;
  readonly days: Set<string>;
  links: number;
  events: number;
  first: StoredLink | undefined;
  last: StoredLink | undefined;
  lowestId: number;
  highestId: number;
}

/**
 * Walks the chain as it was at one moment, from the last checkpoint on: every link against the one before it, and every event
 * against its link, then looks for events that no link covers. Ends at the first break. Reads only; a day of a million events
 * takes some ten seconds. Rejects with a `database_*` error.
 */
export async function verifyAuditChain(
  database: Pick<Database, "transaction">,
  options: VerifyAuditOptions,
): Promise<ChainReport> {
  return database.transaction(async (transaction) => {
    // One moment for all statements: what is linked or dropped meanwhile is no break.
    await transaction.query("set transaction isolation level repeatable read, read only");
    const checkpoints = await readCheckpoints(transaction);
    const walk: Walk = {
      transaction,
      options,
      droppedThrough: checkpoints.at(-1)?.day,
      days: new Set(),
      links: 0,
      events: 0,
      first: undefined,
      last: undefined,
      lowestId: Number.MAX_SAFE_INTEGER,
      highestId: 0,
    };
    const found =
      checkpointBreak(checkpoints, options) ??
      (await walkLinks(walk, checkpoints)) ??
      headBreak(walk, checkpoints) ??
      (await uncoveredEvent(walk));
    return await reportOf(walk, found);
  });
}

function checkpointBreak(
  checkpoints: readonly StoredCheckpoint[],
  { keys }: VerifyAuditOptions,
): ChainBreak | undefined {
  for (const checkpoint of checkpoints) {
    const { day, sequence, auditKeyId, mac } = checkpoint;
    const key = keys.find(auditKeyId);
    if (!key) return { day, sequence, problem: unknownKey("the checkpoint", auditKeyId) };
    if (!equal(mac, auditCheckpointMac(key, checkpoint)))
      return { day, sequence, problem: "the checkpoint was changed" };
  }
  return undefined;
}

/** Links that a checkpoint lets go are there still when a process was killed before it dropped them. */
async function walkLinks(walk: Walk, checkpoints: readonly StoredCheckpoint[]): Promise<ChainBreak | undefined> {
  const [row] = await walk.transaction.query<{ total: number; first: number | null }>(
    "select count(*) as total, min(sequence) as first from keystead.audit_links",
  );
  const total = row?.total ?? 0;
  let { sequence, mac } = beforeFirst(checkpoints, row?.first ?? undefined);
  for (;;) {
    const page = await readLinks(walk.transaction, sequence, PAGE);
    for (const link of page) {
      const problem = linkProblem(walk, link, { sequence, mac });
      if (problem !== undefined) return { sequence: sequence + 1, problem };
      const broken = await eventBreak(walk, link);
      if (broken) return broken;
      ({ sequence, mac } = link);
    }
    if (page.length < PAGE) {
      const isCut = sequence > 0 && !walk.last;
      return isCut
        ? { sequence: sequence + 1, problem: "the links after the last checkpoint were removed" }
        : undefined;
    }
    walk.options.progress?.(walk.links, total, walk.events);
  }
}

/** What the first link that is there has to follow: nothing, or the last link that a checkpoint speaks of. */
function beforeFirst(
  checkpoints: readonly StoredCheckpoint[],
  first: number | undefined,
): { sequence: number; mac: Buffer } {
  const following = checkpoints.find(({ sequence }) => sequence + 1 === first) ?? checkpoints.at(-1);
  if (first === 1 || !following) return { sequence: 0, mac: BEFORE_CHAIN };
  return { sequence: following.sequence, mac: following.linkMac };
}

function linkProblem(
  walk: Walk,
  link: StoredLink,
  previous: { readonly sequence: number; readonly mac: Buffer },
): string | undefined {
  if (link.sequence !== previous.sequence + 1) return "this link was removed";
  const key = walk.options.keys.find(link.auditKeyId);
  if (!key) return unknownKey("the link", link.auditKeyId);
  if (!equal(link.mac, auditLinkMac(key, previous.mac, link))) return "this link, or the one before it, was changed";
  const { head } = walk.options;
  if (head?.sequence === link.sequence && !equal(head.mac, link.mac))
    return "this link is not the one whose head was logged";
  walk.links += 1;
  walk.first ??= link;
  walk.last = link;
  return undefined;
}

async function eventBreak(walk: Walk, link: StoredLink): Promise<ChainBreak | undefined> {
  const { sequence, day, eventIds, digests } = link;
  for (const id of eventIds) {
    walk.lowestId = Math.min(walk.lowestId, id);
    walk.highestId = Math.max(walk.highestId, id);
  }
  walk.events += eventIds.length;
  if (walk.droppedThrough !== undefined && day <= walk.droppedThrough) return undefined;
  walk.days.add(day);
  const texts = await readEvents(walk.transaction, link);
  for (const [position, eventId] of eventIds.entries()) {
    const text = texts.get(eventId);
    if (text === undefined) return { sequence, eventId, day, problem: "this event was removed" };
    const digest = digests.subarray(position * DIGEST_BYTES, (position + 1) * DIGEST_BYTES);
    if (!equal(digest, auditEventDigest(text))) return { sequence, eventId, day, problem: "this event was changed" };
    texts.delete(eventId);
  }
  for (const eventId of texts.keys()) return { sequence, eventId, day, problem: "this event was inserted later" };
  return undefined;
}

async function readEvents(transaction: Queryable, link: StoredLink): Promise<Map<number, string>> {
  const rows = await transaction.query<{ event_id: number; text: string }>(
    `select event_id, ${AUDIT_EVENT_TEXT} as text
       from keystead.audit_events
      where occurred_at >= $1::date::timestamp at time zone 'UTC'
        and occurred_at < ($1::date + 1)::timestamp at time zone 'UTC'
        and (transaction_id, event_id) > ($2::xid8, $3::bigint)
        and (transaction_id, event_id) <= ($4::xid8, $5::bigint)
        and event_id > $6
      order by transaction_id, event_id`,
    [link.day, link.after.transaction, link.after.event, link.through.transaction, link.through.event, link.aboveEvent],
  );
  return new Map(rows.map((row) => [row.event_id, row.text]));
}

/** A head that was logged has to be in the chain, or before what was dropped by age. */
function headBreak(
  { options: { head }, first, last }: Walk,
  checkpoints: readonly StoredCheckpoint[],
): ChainBreak | undefined {
  if (!head) return undefined;
  const { sequence, mac } = head;
  if (sequence > (last?.sequence ?? 0)) return { sequence, problem: "the chain was cut off before this logged head" };
  if (sequence >= (first?.sequence ?? 0)) return undefined;
  const checkpoint = checkpoints.find((one) => one.sequence === sequence);
  if (checkpoint && !equal(checkpoint.linkMac, mac))
    return { sequence, problem: "this link is not the one whose head was logged" };
  return undefined;
}

/** An event that lies before the end of the chain and is in no link, by days. */
async function uncoveredEvent({ transaction, days, last }: Walk): Promise<ChainBreak | undefined> {
  if (!last) return undefined;
  for (const day of await presentDays(transaction, days)) {
    const [row] = await transaction.query<{ event_id: number }>(
      `with covered as materialized (
         select unnest(event_ids) as event_id from keystead.audit_links where day = $1::date
       )
       select event_id
         from keystead.audit_events e
        where occurred_at >= $1::date::timestamp at time zone 'UTC'
          and occurred_at < ($1::date + 1)::timestamp at time zone 'UTC'
          and (event_id <= $2 or (transaction_id, event_id) <= ($3::xid8, $4::bigint))
          and not exists (select from covered where covered.event_id = e.event_id)
        order by event_id
        limit 1`,
      [day, last.aboveEvent, last.through.transaction, last.through.event],
    );
    if (row) return { eventId: row.event_id, day, problem: "this event was inserted later: no link covers it" };
  }
  return undefined;
}

async function presentDays(transaction: Queryable, linked: ReadonlySet<string>): Promise<readonly string[]> {
  const rows = await transaction.query<{ day: string }>(
    `select to_date(right(relname, 8), 'YYYYMMDD')::text as day
       from pg_inherits join pg_class on pg_class.oid = inhrelid
      where inhparent = 'keystead.audit_events'::regclass and relname ~ '^audit_events_[0-9]{8}$'`,
  );
  return [...new Set([...rows.map(({ day }) => day), ...linked])].toSorted();
}

async function reportOf(walk: Walk, found: ChainBreak | undefined): Promise<ChainReport> {
  const { first, last, links, events, droppedThrough, lowestId, highestId } = walk;
  const [row] = await walk.transaction.query<{ unlinked: number; ids: number }>(
    `select count(*) as unlinked, count(*) filter (where event_id between $4 and $5) as ids
       from keystead.audit_events
      where (transaction_id, event_id) > ($1::xid8, $2::bigint) and event_id > $3`,
    [
      last?.through.transaction ?? "0",
      last?.through.event ?? 0,
      last?.aboveEvent ?? 0,
      Math.min(lowestId, highestId),
      highestId,
    ],
  );
  const spanned = highestId === 0 ? 0 : highestId - lowestId + 1;
  return {
    links,
    events,
    ...(first && { first: first.sequence }),
    ...(last && {
      last: { sequence: last.sequence, mac: last.mac.toString("hex"), linkedAt: last.linkedAt.toISOString() },
    }),
    ...(droppedThrough !== undefined && { droppedThrough }),
    unlinked: row?.unlinked ?? 0,
    idsWithoutEvent: Math.max(0, spanned - events - (row?.ids ?? 0)),
    ...(found && { break: found }),
  };
}

function unknownKey(what: string, auditKeyId: string): string {
  return `${what} was made with audit key ${auditKeyId}, which no configured encryption key opens`;
}

function equal(one: Buffer, other: Buffer): boolean {
  return one.length === other.length && timingSafeEqual(one, other);
}
