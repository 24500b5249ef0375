import { uuidv7 } from "../crypto/uuid.ts";
import type { Queryable } from "../db/session-pool.ts";

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

/** One id for all that one transaction deletes. */
export function newDeletionId(): string {
  return uuidv7();
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
