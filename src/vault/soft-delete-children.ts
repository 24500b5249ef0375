import type { Queryable, SqlValue } from "../db/session-pool.ts";
import { insertDeletionEvents, type AuditedKind } from "./audit-fragments.ts";
import { actorColumns } from "./audit.ts";
import type { Actor } from "./owner.ts";

/**
 * Rows of one statement, far below its limit of 10 s: with their events they take 25 ms on two cores (200,000 rows 5 s),
 * and 0.5 s at most where the table was never analyzed and is sorted anew for each batch.
 */
export const CHILDREN_BATCH = 1_000;

/** What lies inside one environment, or only inside one of its integrations, and what is said about its deletion. */
export interface ChildrenDeletion {
  readonly environmentId: string;
  readonly integrationId?: string;
  readonly deletionId: string;
  readonly actor: Actor;
  /** Rows of one statement: `CHILDREN_BATCH`, or fewer. */
  readonly batchSize: number;
}

/**
 * Soft-deletes all rows of a kind that are still alive there, with an audit event each, in as many statements as it takes.
 * The caller has locked the parent, so none can be added meanwhile.
 */
export async function softDeleteChildren(
  transaction: Queryable,
  kind: AuditedKind,
  deletion: ChildrenDeletion,
): Promise<void> {
  const { environmentId, integrationId = null, deletionId, actor, batchSize } = deletion;
  const text = deletionOfBatch(kind);
  let batch: Batch | undefined = { last: BEFORE_ALL, size: batchSize };
  while (batch?.size === batchSize) {
    const values: SqlValue[] = [
      environmentId,
      integrationId,
      deletionId,
      batch.last,
      batchSize,
      ...actorColumns(actor),
    ];
    [batch] = await transaction.query<Batch>(text, values);
  }
}

/** What one statement went through; none when nothing was left. */
interface Batch {
  readonly last: string;
  readonly size: number;
}

/** No row has this id. */
const BEFORE_ALL = "00000000-0000-0000-0000-000000000000";

/**
 * In the order of the primary key, from where the batch before has ended: rows that this transaction deleted cannot be
 * skipped by looking for living ones alone, because indexes keep pointing to them until its commit.
 */
function deletionOfBatch({ kind, idColumn }: AuditedKind): string {
  return `with batch as (
      select environment_id, ${idColumn}
        from keystead.${kind}s
       where environment_id = $1 and ($2::uuid is null or integration_id = $2)
         and ${idColumn} > $4 and deleted_at is null
       order by ${idColumn}
       limit $5
         for no key update
    ),
    deleted as (
      update keystead.${kind}s
         set deleted_at = now(), deletion_id = $3, revision = revision + 1, resource_dirty_since = null
        from batch
       where ${kind}s.environment_id = $1 and ${kind}s.${idColumn} = batch.${idColumn}
      returning ${kind}s.environment_id, ${kind}s.${idColumn}, deletion_id, revision
    ),
    audited as (${insertDeletionEvents({ kind, idColumn }, 6)})
    select ${idColumn} as last, (select count(*) from batch) as size from batch order by ${idColumn} desc limit 1`;
}
