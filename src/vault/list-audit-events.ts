import { KeysteadError } from "../errors.ts";
import { checkKey, type KeyHolder } from "./admit-key.ts";
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

/**
 * Newest first, along the primary key of each day; an instant leaves out the days that it rules out. A filter that hardly
 * anything matches goes through all that the instants leave.
 */
const LIST_EVENTS = `select event_id::text as id, occurred_at as "occurredAt", actor_kind as "actorKind", actor,
            field_manager as "fieldManager", address, action, target_kind as "targetKind", target_id as "targetId",
            target_revision as "targetRevision", deletion_id as "deletionId", fields, occurrences
       from keystead.audit_events
      where environment_id = $1
        and ($2::timestamptz is null or occurred_at >= $2)
        and ($3::timestamptz is null or occurred_at < $3)
        and ($4::text is null or actor = $4)
        and ($5::text is null or action = $5)
        and ($6::text is null or target_id in (
          select connection_row_id from keystead.connections where environment_id = $1 and connection_id = $6))
        and ($7::uuid is null or target_id = $7)
        and ($8::bigint is null or event_id < $8)
      order by event_id desc
      limit $9`;

/**
 * Events of the key's environment, newest first. Not for a key that was made for some of the connections: events are of all.
 * Rejects with `unknown_account`, `forbidden` or a `database_*` error.
 */
export async function listAuditEvents(
  vault: Vault,
  holder: KeyHolder,
  options: ListAuditEventsOptions,
): Promise<readonly ListedAuditEvent[]> {
  const { environmentId, selector } = await checkKey(vault, holder);
  if (selector !== null) {
    throw new KeysteadError("forbidden", "A key with a connectionSelector cannot list audit events, which are of all.");
  }
  return vault.database.query<ListedAuditEvent>(LIST_EVENTS, [
    environmentId,
    options.from ?? null,
    options.to ?? null,
    options.actor ?? null,
    options.action ?? null,
    options.connectionId ?? null,
    options.targetId ?? null,
    options.after ?? null,
    options.limit,
  ]);
}
