import type { Queryable } from "../db/session-pool.ts";
import { AUDITED_CONNECTION, AUDITED_INTEGRATION } from "./audit-fragments.ts";
import { recordAuditEvent } from "./audit.ts";
import type { ReigningVault } from "./context.ts";
import type { Actor } from "./owner.ts";
import { shareDeletion } from "./share-deletion.ts";
import { CHILDREN_BATCH, softDeleteChildren } from "./soft-delete-children.ts";
import { countDeletedConnections, newDeletionId, type SoftDeleted } from "./soft-deleted.ts";

/** Deletions so shortly before that of the environment belong to it: 10 minutes are a slow `kubectl delete -f folder/`. */
const TOGETHER_SECONDS = 600;

interface EnvironmentRow {
  readonly environment_id: string;
  readonly revision: number;
  readonly deletion_id: string;
  readonly deleted_at: Date;
}

/**
 * Soft-deletes the environment of a resource with everything in it, under one deletion id, in one transaction. Its keys
 * open nothing from the commit on: reads ask for a living environment. Keys and ciphertexts stay, so that restoring it
 * brings the same secret key back. As repeatable as `softDeleteConnection`.
 *
 * What was deleted in it in the 10 minutes before, and since `terminatingSince` (the resource's `deletionTimestamp`), gets
 * the same deletion id: whoever deletes a folder of manifests or a namespace does not choose the order.
 */
export async function softDeleteEnvironment(
  vault: ReigningVault,
  ownerUid: string,
  actor: Actor,
  batchSize = CHILDREN_BATCH,
  terminatingSince?: string,
): Promise<SoftDeleted | undefined> {
  return vault.database.transaction(async (transaction) => {
    const row =
      (await deleteRow(transaction, ownerUid, actor, batchSize, terminatingSince)) ??
      (await deletedBefore(transaction, ownerUid));
    if (!row) return undefined;
    return {
      id: row.environment_id,
      environmentId: row.environment_id,
      deletionId: row.deletion_id,
      deletedAt: row.deleted_at,
      connections: await countDeletedConnections(transaction, row.environment_id, row.deletion_id),
    };
  });
}

async function deleteRow(
  transaction: Queryable,
  ownerUid: string,
  actor: Actor,
  batchSize: number,
  terminatingSince: string | undefined,
): Promise<EnvironmentRow | undefined> {
  // From outside to inside, the order in which those who add rows lock: neither can end up waiting for the other.
  const [row] = await transaction.query<EnvironmentRow & { readonly since: string }>(
    `update keystead.environments
        set deleted_at = now(), deletion_id = $2, revision = revision + 1, resource_dirty_since = null,
            deletion_since = least(now(), $3::timestamptz) - make_interval(secs => $4)
      where owner_uid = $1 and deleted_at is null
      returning environment_id, revision, deletion_id, deleted_at, deletion_since::text as since`,
    [ownerUid, newDeletionId(), terminatingSince ?? null, TOGETHER_SECONDS],
  );
  if (!row) return undefined;
  const children = { environmentId: row.environment_id, deletionId: row.deletion_id, actor, batchSize };
  await softDeleteChildren(transaction, AUDITED_INTEGRATION, children);
  await softDeleteChildren(transaction, AUDITED_CONNECTION, children);
  // Last, when whoever was deleting one of them at the same moment has committed or found it deleted.
  await shareDeletion(transaction, AUDITED_INTEGRATION, { ...children, since: row.since });
  await shareDeletion(transaction, AUDITED_CONNECTION, { ...children, since: row.since });
  await recordAuditEvent(transaction, {
    environmentId: row.environment_id,
    actor,
    action: "environment.deleted",
    targetId: row.environment_id,
    targetRevision: row.revision,
    deletionId: row.deletion_id,
  });
  return row;
}

/** The newest one: a resource may have had an environment before, deleted in an outage of its controller. */
async function deletedBefore(transaction: Queryable, ownerUid: string): Promise<EnvironmentRow | undefined> {
  const [row] = await transaction.query<EnvironmentRow>(
    `select environment_id, revision, deletion_id, deleted_at
       from keystead.environments
      where owner_uid = $1 and deleted_at is not null
      order by deleted_at desc
      limit 1`,
    [ownerUid],
  );
  return row;
}
