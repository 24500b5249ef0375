import { uuidv7 } from "../crypto/uuid.ts";
import type { Queryable } from "../db/session-pool.ts";
import { AUDITED_CONNECTION, insertDeletionEvents } from "./audit-fragments.ts";
import { actorColumns } from "./audit.ts";
import type { Actor } from "./owner.ts";

/** What a soft-delete did, or an earlier one of the same resource. */
export interface SoftDeleted {
  /** Id by which it can be restored. */
  readonly id: string;
  readonly environmentId: string;
  /** Shared by everything that was deleted together. */
  readonly deletionId: string;
  readonly deletedAt: Date;
  /** Connections deleted with it, itself included if it is one. */
  readonly connections: number;
}

/** Everything inside one environment, or only what belongs to one of its integrations. */
export interface DeletionScope {
  readonly environmentId: string;
  readonly integrationId?: string;
}

/** One id for all that one transaction deletes. */
export function newDeletionId(): string {
  return uuidv7();
}

/**
 * Soft-deletes the connections of an environment or integration that are still alive, with an audit event each. The
 * caller has locked the parent, so none can be added meanwhile.
 */
export async function softDeleteConnectionsIn(
  transaction: Queryable,
  scope: DeletionScope,
  deletionId: string,
  actor: Actor,
): Promise<void> {
  await transaction.query(
    `with deleted as (
       update keystead.connections
          set deleted_at = now(), deletion_id = $3, revision = revision + 1, resource_dirty_since = null
        where environment_id = $1 and ($2::uuid is null or integration_id = $2)
          and connection_id is not null and deleted_at is null
       returning environment_id, connection_row_id, deletion_id, revision
     )
     ${insertDeletionEvents(AUDITED_CONNECTION, 4)}`,
    [scope.environmentId, scope.integrationId ?? null, deletionId, ...actorColumns(actor)],
  );
}

/** How many connections a deletion took. */
export async function countDeletedConnections(
  transaction: Queryable,
  environmentId: string,
  deletionId: string,
): Promise<number> {
  const [row] = await transaction.query<{ count: number }>(
    `select count(*) as count
       from keystead.connections
      where environment_id = $1 and deleted_at is not null and deletion_id = $2`,
    [environmentId, deletionId],
  );
  return row?.count ?? 0;
}
