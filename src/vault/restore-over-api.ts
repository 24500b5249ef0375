import type { Queryable } from "../db/session-pool.ts";
import { KeysteadError } from "../errors.ts";
import { admitKey, type AdmittedKey, isSelected, type KeyHolder } from "./admit-key.ts";
import { recordAuditEvent } from "./audit.ts";
import type { Vault } from "./context.ts";
import { type ConnectionName, connectionText, findIntegration } from "./find-connection.ts";
import { type OwnedRow, refuseManaged } from "./refuse-managed.ts";
import { retentionEnded } from "./retention.ts";

/** Which connection comes back. */
export interface ConnectionReturn extends ConnectionName {
  /** Numeric id of the incarnation; the one deleted last, if absent. */
  readonly numericId?: number | undefined;
}

interface DeletedRow extends OwnedRow {
  readonly connection_row_id: string;
  readonly revision: number;
  readonly tags: Record<string, string>;
  readonly deletion_id: string;
}

/**
 * Brings a soft-deleted connection back that no resource managed: served from the commit on, as it was. One transaction with
 * its audit event.
 *
 * Rejects with `unknown_provider_config`, `restore_not_found`, `managed_by_resource`, `restore_conflict` (its id was taken
 * meanwhile), `unknown_account`, `forbidden` or a `database_*` error.
 */
export async function restoreOverApi(vault: Vault, holder: KeyHolder, request: ConnectionReturn): Promise<void> {
  await vault.database.transaction(async (transaction) => {
    const key = await admitKey(transaction, holder);
    const { integration_id: integrationId } = await findIntegration(
      transaction,
      key,
      request.providerConfigKey,
      "no key update",
    );
    const row = await findDeleted(transaction, key, integrationId, request);
    if (!row || !isSelected(key, row.tags)) throw notRestorable(request);
    refuseManaged("Connection", row, connectionText(request));
    const { connection_row_id: id, deletion_id: deletionId } = row;
    if (!(await revive(transaction, key, integrationId, id, request))) throw idTaken(request);
    await recordAuditEvent(transaction, {
      environmentId: key.environmentId,
      actor: key.actor,
      action: "connection.restored",
      targetId: id,
      targetRevision: row.revision + 1,
      deletionId,
    });
  });
}

async function findDeleted(
  transaction: Queryable,
  { environmentId }: AdmittedKey,
  integrationId: string,
  { connectionId, numericId }: ConnectionReturn,
): Promise<DeletedRow | undefined> {
  const [row] = await transaction.query<DeletedRow>(
    `select c.connection_row_id, c.revision, c.tags, c.deletion_id, c.owner_uid, c.owner_namespace, c.owner_name
       from keystead.environments e
       join keystead.connections c on c.environment_id = e.environment_id
      where e.environment_id = $1 and c.integration_id = $2 and c.connection_id = $3
        and c.deleted_at is not null and not (${retentionEnded("c")})
        and ($4::bigint is null or c.numeric_id = $4)
      order by c.deleted_at desc, c.connection_row_id desc
      limit 1
        for no key update of c`,
    [environmentId, integrationId, connectionId, numericId ?? null],
  );
  return row;
}

/** False when a living connection has the id. */
async function revive(
  transaction: Queryable,
  { environmentId }: AdmittedKey,
  integrationId: string,
  id: string,
  { connectionId }: ConnectionReturn,
): Promise<boolean> {
  const rows = await transaction.query(
    `update keystead.connections
        set deleted_at = null, deletion_id = null, revision = revision + 1, updated_at = now()
      where environment_id = $1 and connection_row_id = $2
        and not exists (
          select from keystead.connections
           where environment_id = $1 and integration_id = $3 and connection_id = $4 and deleted_at is null)
     returning connection_row_id`,
    [environmentId, id, integrationId, connectionId],
  );
  return rows.length > 0;
}

function notRestorable({ connectionId }: ConnectionReturn): KeysteadError {
  return new KeysteadError(
    "restore_not_found",
    `No deleted connection with the id ${JSON.stringify(connectionId)} can be restored: it was erased, or never was.`,
  );
}

function idTaken({ connectionId }: ConnectionReturn): KeysteadError {
  return new KeysteadError(
    "restore_conflict",
    `The connection id ${JSON.stringify(connectionId)} is in use: delete the connection that has it first.`,
  );
}
