import type { Queryable } from "../db/session-pool.ts";
import { AUDITED_CONNECTION, AUDITED_INTEGRATION } from "./audit-fragments.ts";
import { recordAuditEvent } from "./audit.ts";
import type { ReigningVault } from "./context.ts";
import type { Actor } from "./owner.ts";
import { CHILDREN_BATCH, softDeleteChildren } from "./soft-delete-children.ts";
import { countDeletedConnections, newDeletionId, type SoftDeleted } from "./soft-deleted.ts";

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
 */
export async function softDeleteEnvironment(
  vault: ReigningVault,
  ownerUid: string,
  actor: Actor,
  batchSize = CHILDREN_BATCH,
): Promise<SoftDeleted | undefined> {
  return vault.database.transaction(async (transaction) => {
    const row =
      (await deleteRow(transaction, ownerUid, actor, batchSize)) ?? (await deletedBefore(transaction, ownerUid));
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
): Promise<EnvironmentRow | undefined> {
  // From outside to inside, the order in which those who add rows lock: neither can end up waiting for the other.
  const [row] = await transaction.query<EnvironmentRow>(
    `update keystead.environments
        set deleted_at = now(), deletion_id = $2, revision = revision + 1, resource_dirty_since = null
      where owner_uid = $1 and deleted_at is null
      returning environment_id, revision, deletion_id, deleted_at`,
    [ownerUid, newDeletionId()],
  );
  if (!row) return undefined;
  const children = { environmentId: row.environment_id, deletionId: row.deletion_id, actor, batchSize };
  await softDeleteChildren(transaction, AUDITED_INTEGRATION, children);
  await softDeleteChildren(transaction, AUDITED_CONNECTION, children);
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
