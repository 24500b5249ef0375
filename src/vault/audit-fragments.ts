/*
 * Parts of statements that write audit events in the statement that does what they record: one round trip, one commit,
 * and no way to have one without the other. All names come from the code, never from a caller.
 */

/** Which table the rows are of, in the words of audit events, and the column that holds their id. */
export interface AuditedKind {
  readonly kind: "integration" | "connection";
  readonly idColumn: "integration_id" | "connection_row_id";
}

/** Rows of `keystead.integrations`. */
export const AUDITED_INTEGRATION: AuditedKind = { kind: "integration", idColumn: "integration_id" };

/** Rows of `keystead.connections`. */
export const AUDITED_CONNECTION: AuditedKind = { kind: "connection", idColumn: "connection_row_id" };

/**
 * Events for the rows that a list `created` or `updated` holds, written on behalf of the resources in `input`. An update
 * without changed parts (only versions of Secrets were written) is no event.
 */
export function insertStoreEvents({ kind, idColumn }: AuditedKind, written: "created" | "updated"): string {
  const fields = written === "created" ? "'{}'::text[]" : "string_to_array(nullif(i.changed, ''), ',')";
  return `insert into keystead.audit_events (
        environment_id, actor_kind, actor, field_manager, action, target_kind, target_id, target_revision, fields
      )
      select environment_id, 'resource', i.owner_uid::text, i.field_manager, '${kind}.${written}', '${kind}',
             ${idColumn}, w.revision, ${fields}
        from ${written} w join input i using (environment_id, ${idColumn})
       where ${fields} is not null`;
}

/** Events for the rows that a list `deleted` holds. The actor's four columns are the parameters from the given one on. */
export function insertDeletionEvents(kind: AuditedKind, firstParameter: number): string {
  return insertListEvents(kind, "deleted", firstParameter);
}

/** The same for a list `restored`, whose deletion id is that of the deletion that they come back from. */
export function insertRestoreEvents(kind: AuditedKind, firstParameter: number): string {
  return insertListEvents(kind, "restored", firstParameter);
}

/** The same for a list `purged`, of rows that are gone for good. */
export function insertPurgeEvents(kind: AuditedKind, firstParameter: number): string {
  return insertListEvents(kind, "purged", firstParameter);
}

/** The same for a list `orphaned`, of rows that their resource has left to nobody. */
export function insertOrphanEvents(kind: AuditedKind, firstParameter: number): string {
  return insertListEvents(kind, "orphaned", firstParameter);
}

function insertListEvents(
  { kind, idColumn }: AuditedKind,
  list: "deleted" | "restored" | "purged" | "orphaned",
  firstParameter: number,
): string {
  const actor = [0, 1, 2, 3].map((column) => `$${firstParameter + column}`).join(", ");
  return `insert into keystead.audit_events (
       environment_id, actor_kind, actor, field_manager, address,
       action, target_kind, target_id, target_revision, deletion_id
     )
     select environment_id, ${actor}, '${kind}.${list}', '${kind}', ${idColumn}, revision, deletion_id
       from ${list}`;
}
