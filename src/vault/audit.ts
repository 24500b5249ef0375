import type { Queryable } from "../db/session-pool.ts";
import type { Actor, CallingActor } from "./owner.ts";

/** What was done. A read is of something secret: lists without secrets are not recorded. */
export type AuditAction =
  | "audit.reads-off"
  | "encryption-key.introduced"
  | "encryption-key.retired"
  | "environment.created"
  | "environment.updated"
  | "environment.deleted"
  | "environment.data-key-rotated"
  | "environment.data-key-destroyed"
  | "environment.purged"
  | "environment.restored"
  | "environment.claimed"
  | "environment.adopted"
  | "environment.variables-read"
  | "secret-key.created"
  | "secret-key.updated"
  | "secret-key.rotated"
  | "secret-key.grace-began"
  | "secret-key.ended"
  | "service-account.allowed"
  | "service-account.updated"
  | "service-account.removed"
  | "integration.created"
  | "integration.updated"
  | "integration.deleted"
  | "integration.purged"
  | "integration.restored"
  | "integration.claimed"
  | "integration.client-read"
  | "connection.created"
  | "connection.updated"
  | "connection.deleted"
  | "connection.purged"
  | "connection.orphaned"
  | "connection.restored"
  | "connection.claimed"
  | "connection.read"
  | "connection.credentials-read"
  | "connection.proxied";

/** One row of `keystead.audit_events`. Ids and names of fields only: no value, nothing of an end user. */
export interface AuditEvent {
  readonly environmentId: string;
  readonly actor: Actor;
  readonly action: AuditAction;
  readonly targetId: string;
  readonly targetRevision: number;
  readonly deletionId?: string;
  /** Names of the parts that changed. */
  readonly fields?: readonly string[];
}

/** A read of something secret. */
export interface AuditRead {
  readonly environmentId: string;
  readonly actor: CallingActor;
  readonly action: AuditAction;
  readonly targetId: string;
  readonly targetRevision: number;
}

/** Who acted, as the columns `actor_kind`, `actor`, `field_manager` and `address` hold it. */
export function actorColumns(
  actor: Actor,
): readonly [kind: string, actor: string, fieldManager: string | null, address: string | null] {
  switch (actor.kind) {
    case "resource":
      return ["resource", actor.owner.uid, actor.owner.fieldManager ?? null, null];
    case "key":
      return ["key", actor.fingerprint, null, actor.address ?? null];
    case "service-account":
      return ["service-account", actor.account, null, actor.address ?? null];
    case "system":
      return ["system", actor.name, null, null];
    default:
      return actor satisfies never;
  }
}

/** What an action was done to: the word before its dot. */
export function targetKindOf(action: AuditAction): string {
  return action.slice(0, action.indexOf("."));
}

/** Writes one event, in the transaction of what it records. */
export async function recordAuditEvent(transaction: Queryable, event: AuditEvent): Promise<void> {
  await transaction.query(
    `insert into keystead.audit_events (
       environment_id, actor_kind, actor, field_manager, address,
       action, target_kind, target_id, target_revision, deletion_id, fields
     ) values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)`,
    [
      event.environmentId,
      ...actorColumns(event.actor),
      event.action,
      targetKindOf(event.action),
      event.targetId,
      event.targetRevision,
      event.deletionId ?? null,
      event.fields ?? [],
    ],
  );
}
