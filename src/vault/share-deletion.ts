import type { Queryable } from "../db/session-pool.ts";
import type { AuditedKind } from "./audit-fragments.ts";

/** What was deleted in an environment shortly before itself. */
export interface SharedDeletion {
  readonly environmentId: string;
  readonly deletionId: string;
  /** Deletions from this instant on, as Postgres writes it. */
  readonly since: string;
  /** Rows of one statement. */
  readonly batchSize: number;
}

/** Gives the rows of a kind that were deleted since then the deletion id of their environment, so that they come back with it. */
export async function shareDeletion(
  transaction: Queryable,
  { kind, idColumn }: AuditedKind,
  { environmentId, deletionId, since, batchSize }: SharedDeletion,
): Promise<void> {
  const text = `with batch as (
      select environment_id, ${idColumn} as id, deleted_at
        from keystead.${kind}s
       where environment_id = $1 and deletion_id <> $2 and deleted_at >= $3::timestamptz
         and (deleted_at, ${idColumn}) < ($4::timestamptz, $5::uuid)
       order by deleted_at desc, ${idColumn} desc
       limit $6
         for no key update
    ),
    shared as (
      update keystead.${kind}s r set deletion_id = $2
        from batch
       where r.environment_id = $1 and r.${idColumn} = batch.id
    )
    select deleted_at::text as at, id, (select count(*) from batch) as size
      from batch order by deleted_at, id limit 1`;
  let batch: { at: string; id: string; size: number } | undefined = { at: "infinity", id: AFTER_ALL, size: batchSize };
  while (batch?.size === batchSize) {
    [batch] = await transaction.query(text, [environmentId, deletionId, since, batch.at, batch.id, batchSize]);
  }
}

/** No row has this id. */
const AFTER_ALL = "ffffffff-ffff-ffff-ffff-ffffffffffff";
