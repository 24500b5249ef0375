import type { Queryable, SqlValue } from "../db/session-pool.ts";
import { type AuditedKind, insertRestoreEvents } from "./audit-fragments.ts";
import { actorColumns } from "./audit.ts";
import type { Actor } from "./owner.ts";

/** Rows of one statement, far below its limit of 10 s, as for a deletion. */
export const RESTORE_BATCH = 1_000;

/** What comes back in one environment, or only in one of its integrations. */
export interface ChildrenRestore {
  readonly environmentId: string;
  readonly integrationId?: string;
  readonly deletionId: string;
  /** The first and the last instant at which that deletion took something, as Postgres writes them. */
  readonly since: string;
  readonly until: string;
  readonly actor: Actor;
  readonly batchSize: number;
}

/** Columns that only one living row of a parent can have. */
const PLACE = {
  integration: "unique_key",
  connection: "integration_id, connection_id",
} as const satisfies Record<AuditedKind["kind"], string>;

/**
 * Restores the rows of a kind that one deletion took, with an audit event each, in as many statements as it takes: what was
 * deleted last first. A deletion may hold several rows that had one connection id one after the other; the last of them
 * comes back, the others stay deleted. Rows that a resource managed wait to be claimed. The caller has locked the parent,
 * so nothing is added meanwhile.
 */
export async function restoreChildren(
  transaction: Queryable,
  kind: AuditedKind,
  restore: ChildrenRestore,
): Promise<void> {
  const { environmentId, integrationId = null, deletionId, since, until, actor, batchSize } = restore;
  const text = restoreOfBatch(kind);
  let batch: Batch | undefined = { at: until, id: AFTER_ALL, size: batchSize };
  while (batch?.size === batchSize) {
    const values: SqlValue[] = [environmentId, integrationId, deletionId, since, batch.at, batch.id, batchSize];
    [batch] = await transaction.query<Batch>(text, [...values, ...actorColumns(actor)]);
  }
}

/** Where one statement has ended; none when nothing was left. */
interface Batch {
  readonly at: string;
  readonly id: string;
  readonly size: number;
}

/** No row has this id. */
const AFTER_ALL = "ffffffff-ffff-ffff-ffff-ffffffffffff";

function restoreOfBatch({ kind, idColumn }: AuditedKind): string {
  const place = PLACE[kind];
  const samePlace = place
    .split(", ")
    .map((column) => `taken.${column} = chosen.${column}`)
    .join(" and ");
  // A connection of an integration that stays deleted stays deleted with it.
  const parent =
    kind === "connection"
      ? `and exists (
            select from keystead.integrations n
             where n.environment_id = $1 and n.integration_id = chosen.integration_id and n.deleted_at is null)`
      : "";
  return `with batch as (
      select environment_id, ${idColumn} as id, ${place}, owner_uid, deleted_at, deletion_id
        from keystead.${kind}s
       where environment_id = $1 and deleted_at >= $4::timestamptz
         and (deleted_at, ${idColumn}) < ($5::timestamptz, $6::uuid)
         and deletion_id = $3 ${kind === "connection" ? "and ($2::uuid is null or integration_id = $2)" : "and $2::uuid is null"}
       order by deleted_at desc, ${idColumn} desc
       limit $7
         for no key update
    ),
    last_of_place as (
      select distinct on (${place}) * from batch order by ${place}, deleted_at desc, id desc
    ),
    chosen as (
      select distinct on (coalesce(owner_uid, id)) * from last_of_place
       order by coalesce(owner_uid, id), deleted_at desc, id desc
    ),
    restored as (
      update keystead.${kind}s r
         set deleted_at = null, deletion_id = null, claimed = r.owner_uid is null,
             revision = r.revision + 1, updated_at = now()
        from chosen
       where r.environment_id = $1 and r.${idColumn} = chosen.id ${parent}
         and not exists (
            select from keystead.${kind}s taken
             where taken.environment_id = $1 and ${samePlace} and taken.deleted_at is null)
         and not exists (
            select from keystead.${kind}s taken
             where taken.owner_uid = chosen.owner_uid and taken.environment_id = $1 and taken.deleted_at is null)
      returning r.environment_id, r.${idColumn}, chosen.deletion_id, r.revision
    ),
    audited as (${insertRestoreEvents({ kind, idColumn }, 8)})
    select deleted_at::text as at, id, (select count(*) from batch) as size
      from batch order by deleted_at, id limit 1`;
}
