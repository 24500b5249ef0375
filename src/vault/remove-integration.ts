import { admitKey, type KeyHolder, refuseSelector } from "./admit-key.ts";
import { AUDITED_CONNECTION } from "./audit-fragments.ts";
import { recordAuditEvent } from "./audit.ts";
import type { Vault } from "./context.ts";
import { holdOwnIntegration } from "./find-integration.ts";
import { CHILDREN_BATCH, softDeleteChildren } from "./soft-delete-children.ts";
import { newDeletionId } from "./soft-deleted.ts";

/**
 * Soft-deletes an integration that no resource manages, and its connections with it, all under one deletion id. One
 * transaction with an event for each. Not for a key that was made for some of the connections. Rejects with `not_found`,
 * `managed_by_resource`, `unknown_account`, `forbidden` or a `database_*` error.
 */
export async function removeIntegration(vault: Vault, holder: KeyHolder, uniqueKey: string): Promise<void> {
  await vault.database.transaction(async (transaction) => {
    const key = await admitKey(transaction, holder);
    refuseSelector(key, "delete an integration, with which all of its connections go");
    const { environmentId, actor } = key;
    const { integration_id: integrationId, revision } = await holdOwnIntegration(transaction, key, uniqueKey);
    const deletionId = newDeletionId();
    await transaction.query(
      `update keystead.integrations
          set deleted_at = now(), deletion_id = $3, revision = revision + 1, resource_dirty_since = null
        where environment_id = $1 and integration_id = $2`,
      [environmentId, integrationId, deletionId],
    );
    const children = { environmentId, integrationId, deletionId, actor, batchSize: CHILDREN_BATCH };
    await softDeleteChildren(transaction, AUDITED_CONNECTION, children);
    await recordAuditEvent(transaction, {
      environmentId,
      actor,
      action: "integration.deleted",
      targetId: integrationId,
      targetRevision: revision + 1,
      deletionId,
    });
  });
}
