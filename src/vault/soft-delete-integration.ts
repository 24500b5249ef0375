import type { Queryable } from "../db/session-pool.ts";
import { AUDITED_CONNECTION } from "./audit-fragments.ts";
import { recordAuditEvent } from "./audit.ts";
import type { ReigningVault } from "./context.ts";
import type { Actor } from "./owner.ts";
import { CHILDREN_BATCH, softDeleteChildren } from "./soft-delete-children.ts";
import { countDeletedConnections, newDeletionId, type SoftDeleted } from "./soft-deleted.ts";

interface IntegrationRow {
  readonly environment_id: string;
  readonly integration_id: string;
  readonly revision: number;
  readonly deletion_id: string;
  readonly deleted_at: Date;
}

/**
 * Soft-deletes the integration of a resource and its connections, all under one deletion id, in one transaction. As
 * repeatable as `softDeleteConnection`; `undefined` when nothing was ever stored for the resource.
 */
export async function softDeleteIntegration(
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
      id: row.integration_id,
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
): Promise<IntegrationRow | undefined> {
  // First the integration: whoever is about to add a connection to it holds a share lock until that is committed.
  const [row] = await transaction.query<IntegrationRow>(
    `update keystead.integrations
        set deleted_at = now(), deletion_id = $2, revision = revision + 1, resource_dirty_since = null
      where owner_uid = $1 and deleted_at is null
      returning environment_id, integration_id, revision, deletion_id, deleted_at`,
    [ownerUid, newDeletionId()],
  );
  if (!row) return undefined;
  await softDeleteChildren(transaction, AUDITED_CONNECTION, {
    environmentId: row.environment_id,
    integrationId: row.integration_id,
    deletionId: row.deletion_id,
    actor,
    batchSize,
  });
  await recordAuditEvent(transaction, {
    environmentId: row.environment_id,
    actor,
    action: "integration.deleted",
    targetId: row.integration_id,
    targetRevision: row.revision,
    deletionId: row.deletion_id,
  });
  return row;
}

/** The newest one, as for environments. */
async function deletedBefore(transaction: Queryable, ownerUid: string): Promise<IntegrationRow | undefined> {
  const [row] = await transaction.query<IntegrationRow>(
    `select environment_id, integration_id, revision, deletion_id, deleted_at
       from keystead.integrations
      where owner_uid = $1 and deleted_at is not null
      order by deleted_at desc
      limit 1`,
    [ownerUid],
  );
  return row;
}
