import type { Queryable } from "../db/session-pool.ts";
import { AUDITED_CONNECTION, AUDITED_INTEGRATION } from "./audit-fragments.ts";
import type { Owner } from "./owner.ts";

/** Rows of one statement, as for a deletion. */
export const RELEASE_BATCH = 1_000;

interface RowsRelease {
  readonly environmentId: string;
  /** The Environment's new resource: those of its cluster and namespace may claim the rows. */
  readonly owner: Owner;
  readonly batchSize: number;
}

/** No row has this id. */
const BEFORE_ALL = "00000000-0000-0000-0000-000000000000";

const ID_COLUMN = { integration: AUDITED_INTEGRATION.idColumn, connection: AUDITED_CONNECTION.idColumn } as const;

/**
 * Takes all rows of a kind away from the resources that managed them, and leaves them for those of the same names in another
 * cluster or namespace: unclaimed, under a uid that no resource has, so that nothing of the former cluster finds them.
 * Deleted ones too, so that they can be restored there. The caller has locked the environment.
 */
export async function releaseRows(
  transaction: Queryable,
  kind: keyof typeof ID_COLUMN,
  { environmentId, owner, batchSize }: RowsRelease,
): Promise<void> {
  const id = ID_COLUMN[kind];
  let batch: { readonly last: string; readonly size: number } | undefined = { last: BEFORE_ALL, size: batchSize };
  while (batch?.size === batchSize) {
    [batch] = await transaction.query<{ last: string; size: number }>(
      `with batch as (
         select environment_id, ${id} as id
           from keystead.${kind}s
          where environment_id = $1 and ${id} > $2 and owner_uid is not null
          order by ${id}
          limit $3
            for no key update
       ),
       released as (
         update keystead.${kind}s r
            set owner_cluster = $4, owner_release = $5, owner_namespace = $6, owner_uid = gen_random_uuid(),
                claimed = false, handled_restore = null, revision = revision + 1
           from batch
          where r.environment_id = $1 and r.${id} = batch.id
       )
       select id as last, (select count(*) from batch) as size from batch order by id desc limit 1`,
      [environmentId, batch.last, batchSize, owner.cluster, owner.release, owner.namespace],
    );
  }
}
