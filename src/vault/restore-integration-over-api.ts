import type { Queryable } from "../db/session-pool.ts";
import { KeysteadError } from "../errors.ts";
import { admitKey, type AdmittedKey, type KeyHolder, refuseSelector } from "./admit-key.ts";
import { AUDITED_CONNECTION } from "./audit-fragments.ts";
import { recordAuditEvent } from "./audit.ts";
import type { Vault } from "./context.ts";
import { OWNED_COLUMNS, type OwnedRow, refuseManaged } from "./refuse-managed.ts";
import { RESTORE_BATCH, restoreChildren } from "./restore-children.ts";
import { retentionEnded } from "./retention.ts";

interface DeletedRow extends OwnedRow {
  readonly integration_id: string;
  readonly revision: number;
  readonly deletion_id: string;
  /** As Postgres writes it. */
  readonly deleted_at: string;
}

/**
 * Brings the integration of that name that was deleted last back, if no resource managed it, with the connections that were
 * deleted with it; those that resources managed come back unclaimed. One transaction with an event for each. Of two that come
 * back or are added under one name at once, one does. Not for a key that was made for some of the connections.
 *
 * Rejects with `restore_not_found`, `managed_by_resource`, `restore_conflict` (its name was taken meanwhile),
 * `unknown_account`, `forbidden` or a `database_*` error.
 */
export async function restoreIntegrationOverApi(
  vault: Vault,
  holder: KeyHolder,
  uniqueKey: string,
  batchSize = RESTORE_BATCH,
): Promise<void> {
  await vault.database.transaction(async (transaction) => {
    // Names are given out one at a time: whoever adds an integration holds the environment as well, and weaker.
    const key = await admitKey(transaction, holder, "no key update");
    refuseSelector(key, "restore an integration, with which all of its connections come back");
    const { environmentId, actor } = key;
    const row = await findDeleted(transaction, key, uniqueKey);
    if (!row) throw notRestorable(uniqueKey);
    refuseManaged("Integration", row, `Integration ${JSON.stringify(uniqueKey)}`);
    const { integration_id: integrationId, deletion_id: deletionId, deleted_at: deletedAt } = row;
    if (!(await revive(transaction, key, integrationId, uniqueKey))) throw nameTaken(uniqueKey);
    await recordAuditEvent(transaction, {
      environmentId,
      actor,
      action: "integration.restored",
      targetId: integrationId,
      targetRevision: row.revision + 1,
      deletionId,
    });
    const children = { environmentId, integrationId, deletionId, since: deletedAt, until: deletedAt, actor, batchSize };
    await restoreChildren(transaction, AUDITED_CONNECTION, children);
  });
}

async function findDeleted(
  transaction: Queryable,
  { environmentId }: AdmittedKey,
  uniqueKey: string,
): Promise<DeletedRow | undefined> {
  const [row] = await transaction.query<DeletedRow>(
    `select integration_id, revision, deletion_id, n.deleted_at::text as deleted_at, ${OWNED_COLUMNS}
       from keystead.integrations n
      where environment_id = $1 and unique_key = $2 and n.deleted_at is not null
        and not exists (
          select from keystead.environments e where e.environment_id = $1 and ${retentionEnded("n")})
      order by n.deleted_at desc, integration_id desc
      limit 1
        for no key update`,
    [environmentId, uniqueKey],
  );
  return row;
}

/** False when a living integration has the name. */
async function revive(
  transaction: Queryable,
  { environmentId }: AdmittedKey,
  integrationId: string,
  uniqueKey: string,
): Promise<boolean> {
  const rows = await transaction.query(
    `update keystead.integrations
        set deleted_at = null, deletion_id = null, revision = revision + 1, updated_at = now()
      where environment_id = $1 and integration_id = $2
        and not exists (
          select from keystead.integrations where environment_id = $1 and unique_key = $3 and deleted_at is null)
     returning integration_id`,
    [environmentId, integrationId, uniqueKey],
  );
  return rows.length > 0;
}

function notRestorable(uniqueKey: string): KeysteadError {
  return new KeysteadError(
    "restore_not_found",
    `No deleted integration ${JSON.stringify(uniqueKey)} can be restored: it was erased, or never was.`,
  );
}

function nameTaken(uniqueKey: string): KeysteadError {
  return new KeysteadError(
    "restore_conflict",
    `The name ${JSON.stringify(uniqueKey)} is in use: delete the integration that has it first.`,
  );
}
