import { checkKey, type KeyHolder, refuseSelector } from "./admit-key.ts";
import { queryInOrder } from "./connection-filters.ts";
import type { Vault } from "./context.ts";
import type { Actor } from "./owner.ts";

/** Whose events, and which of them. Filters that are absent let everything pass; all of them must match. */
export interface ListAuditEventsOptions {
  /** From this instant on. */
  readonly from?: Date | undefined;
  /** Before this instant. */
  readonly to?: Date | undefined;
  readonly actor?: string | undefined;
  readonly action?: string | undefined;
  /** Connections with this id, in any integration, deleted ones too until they are erased. */
  readonly connectionId?: string | undefined;
  /** Id of what was acted on. */
  readonly targetId?: string | undefined;
  /** The list goes on after the event of this id. */
  readonly after?: string | undefined;
  readonly limit: number;
}

/** One event: ids and names of fields, no value. */
export interface ListedAuditEvent {
  readonly id: string;
  readonly occurredAt: Date;
  readonly actorKind: Actor["kind"];
  readonly actor: string;
  readonly fieldManager: string | null;
  readonly address: string | null;
  readonly action: string;
  readonly targetKind: string;
  readonly targetId: string;
  readonly targetRevision: number | null;
  readonly deletionId: string | null;
  readonly fields: readonly string[];
  readonly occurrences: number;
}

/** Some of the events, newest first. */
export interface AuditEventPage {
  readonly events: readonly ListedAuditEvent[];
  /** Id of the event that the list goes on after; undefined when there are no more. */
  readonly next: string | undefined;
}

/** Events that one statement goes through at most: some 20 ms (list-audit-events.test.ts has 300,000). */
export const PART = 20_000;

/** Parts of one answer: far below the 5 s that it may take, on a slow disk too. */
export const PARTS = 10;

const DAY_MS = 86_400_000;

/**
 * Newest first, along the primary key of each day. There is no index by what is filtered for: each would cost every read of a
 * credential its part. Instead the statement goes through a part of the events and says where that ends. Whole days ($2 and
 * $3) leave out partitions, so that nothing but the events of the part is looked at; instants are compared within them.
 */
const LIST_PART = `with part as materialized (
     select (
       select event_id from keystead.audit_events
        where environment_id = $1
          and ($2::timestamptz is null or occurred_at >= $2)
          and ($3::timestamptz is null or occurred_at < $3)
          and ($4::bigint is null or event_id < $4)
        order by event_id desc
       offset $5::int - 1
        limit 1
     ) as last_id
   )
   select part.last_id::text as "lastId", a.*
     from part
     left join lateral (
       select event_id::text as id, occurred_at as "occurredAt", actor_kind as "actorKind", actor,
              field_manager as "fieldManager", address, action, target_kind as "targetKind", target_id as "targetId",
              target_revision as "targetRevision", deletion_id as "deletionId", fields, occurrences
         from keystead.audit_events
        where environment_id = $1
          and ($2::timestamptz is null or occurred_at >= $2)
          and ($3::timestamptz is null or occurred_at < $3)
          and ($4::bigint is null or event_id < $4)
          and event_id >= coalesce(part.last_id, 0)
          and ($7::timestamptz is null or occurred_at >= $7)
          and ($8::timestamptz is null or occurred_at < $8)
          and ($9::text is null or actor = $9)
          and ($10::text is null or action = $10)
          and ($11::text is null or target_id in (
            select connection_row_id from keystead.connections where environment_id = $1 and connection_id = $11))
          and ($12::uuid is null or target_id = $12)
        order by event_id desc
        limit $6
     ) a on true
    order by a.id::bigint desc`;

type PartRow = { readonly lastId: string | null } & (ListedAuditEvent | { readonly id: null });

/**
 * Events of the key's environment, newest first. Not for a key that was made for some of the connections: events are of all.
 * It goes through 200,000 events at most, so that a filter that hardly any event matches may give fewer than were asked for,
 * even none, and still a place where the list goes on. Rejects with `unknown_account`, `forbidden` or a `database_*` error.
 */
export async function listAuditEvents(
  vault: Vault,
  holder: KeyHolder,
  options: ListAuditEventsOptions,
): Promise<AuditEventPage> {
  const key = await checkKey(vault, holder);
  refuseSelector(key, "list audit events, which are of all");
  const events: ListedAuditEvent[] = [];
  let next = options.after;
  for (let part = 0; part < PARTS; part += 1) {
    const wanted = options.limit - events.length;
    // One more than is wanted tells whether there is a next one.
    const rows = await readPart(vault, key.environmentId, { ...options, after: next, limit: wanted + 1 });
    const found = rows.flatMap((row) => (row.id === null ? [] : [withoutPlace(row)]));
    events.push(...found.slice(0, wanted));
    if (found.length > wanted) return { events, next: events.at(-1)?.id };
    next = rows[0]?.lastId ?? undefined;
    if (next === undefined) break;
  }
  return { events, next };
}

function readPart(vault: Vault, environmentId: string, options: ListAuditEventsOptions): Promise<PartRow[]> {
  const { from, to, actor, action, connectionId, targetId } = options;
  // Without a filter each event that is looked at is one of the list.
  const isFiltered = [from, to, actor, action, connectionId, targetId].some((filter) => filter !== undefined);
  return queryInOrder<PartRow>(vault, LIST_PART, [
    environmentId,
    from ? new Date(Math.floor(from.getTime() / DAY_MS) * DAY_MS) : null,
    to ? new Date(Math.ceil(to.getTime() / DAY_MS) * DAY_MS) : null,
    options.after ?? null,
    isFiltered ? PART : options.limit,
    options.limit,
    from ?? null,
    to ?? null,
    actor ?? null,
    action ?? null,
    connectionId ?? null,
    targetId ?? null,
  ]);
}

function withoutPlace({
  lastId: _lastId,
  ...event
}: { readonly lastId: string | null } & ListedAuditEvent): ListedAuditEvent {
  return event;
}
