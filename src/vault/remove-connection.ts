import type { Queryable } from "../db/session-pool.ts";
import { KeysteadError } from "../errors.ts";
import { admitKey, type AdmittedKey, isSelected, type KeyHolder } from "./admit-key.ts";
import { recordAuditEvent } from "./audit.ts";
import type { Vault } from "./context.ts";
import { type ConnectionName, connectionText, findConnection } from "./find-connection.ts";
import { type OwnedRow, refuseManaged } from "./refuse-managed.ts";
import { newDeletionId } from "./soft-deleted.ts";

/** Which connection goes for good. */
export interface ConnectionPurge extends ConnectionName {
  /** Numeric id of the incarnation; the living one, or the one deleted last, if absent. */
  readonly numericId?: number | undefined;
}

/**
 * Makes a connection invisible to every read from the commit on; it can be restored until its retention ends. One
 * transaction with its audit event.
 *
 * Rejects with `unknown_provider_config` where there is no such integration, `nothing_to_delete`, `managed_by_resource`,
 * `unknown_account`, `forbidden` or a `database_*` error.
 */
export async function removeConnection(vault: Vault, holder: KeyHolder, name: ConnectionName): Promise<void> {
  await vault.database.transaction(async (transaction) => {
    const key = await admitKey(transaction, holder);
    const found = await findConnection(transaction, key, name);
    if (!found) throw nothingToDelete(name);
    refuseManaged("Connection", found, connectionText(name));
    const { connection_row_id: id } = found;
    const deletionId = newDeletionId();
    await transaction.query(
      `update keystead.connections
          set deleted_at = now(), deletion_id = $3, revision = revision + 1, resource_dirty_since = null
        where environment_id = $1 and connection_row_id = $2`,
      [key.environmentId, id, deletionId],
    );
    await recordAuditEvent(transaction, {
      environmentId: key.environmentId,
      actor: key.actor,
      action: "connection.deleted",
      targetId: id,
      targetRevision: found.revision + 1,
      deletionId,
    });
  });
}

/**
 * Removes a connection for good, one that is soft-deleted too, whoever managed it and whether or not its integration is still
 * there: what a person has the right to have erased is erased. A living one of a resource is not: it would come back. One
 * transaction; the audit event stays. Rejects as `removeConnection` does.
 */
export async function purgeConnection(vault: Vault, holder: KeyHolder, purge: ConnectionPurge): Promise<void> {
  await vault.database.transaction(async (transaction) => {
    const key = await admitKey(transaction, holder);
    const found = await findIncarnation(transaction, key, purge);
    if (!found || !isSelected(key, found.tags)) throw nothingToDelete(purge);
    if (found.deletion_id === null) refuseManaged("Connection", found, connectionText(purge));
    const { connection_row_id: id, revision, deletion_id: deletionId } = found;
    await transaction.query("delete from keystead.connections where environment_id = $1 and connection_row_id = $2", [
      key.environmentId,
      id,
    ]);
    await recordAuditEvent(transaction, {
      environmentId: key.environmentId,
      actor: key.actor,
      action: "connection.purged",
      targetId: id,
      targetRevision: revision,
      ...(deletionId !== null && { deletionId }),
    });
  });
}

interface Incarnation extends OwnedRow {
  readonly connection_row_id: string;
  readonly revision: number;
  readonly tags: Record<string, string>;
  readonly deletion_id: string | null;
}

/** An integration of that name may have been deleted and made anew, with connections of this id in each. */
async function findIncarnation(
  transaction: Queryable,
  { environmentId }: AdmittedKey,
  { providerConfigKey, connectionId, numericId }: ConnectionPurge,
): Promise<Incarnation | undefined> {
  const [row] = await transaction.query<Incarnation>(
    `select c.connection_row_id, c.revision, c.tags, c.deletion_id, c.owner_uid, c.owner_namespace, c.owner_name
       from keystead.integrations n
       join keystead.connections c on c.environment_id = n.environment_id and c.integration_id = n.integration_id
      where n.environment_id = $1 and n.unique_key = $2 and c.connection_id = $3
        and ($4::bigint is null or c.numeric_id = $4)
      order by c.deleted_at desc nulls first, c.connection_row_id desc
      limit 1
        for update of c`,
    [environmentId, providerConfigKey, connectionId, numericId ?? null],
  );
  return row;
}

function nothingToDelete({ connectionId }: ConnectionName): KeysteadError {
  return new KeysteadError(
    "nothing_to_delete",
    `The integration has no connection with the id ${JSON.stringify(connectionId)} to delete.`,
  );
}
