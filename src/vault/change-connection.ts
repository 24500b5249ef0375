import { admitKey, type KeyHolder } from "./admit-key.ts";
import { recordAuditEvent } from "./audit.ts";
import type { EndUser } from "./connection.ts";
import type { Vault } from "./context.ts";
import { type ConnectionName, connectionText, findConnection, noSuchConnection } from "./find-connection.ts";
import { checkTags } from "./put-connection.ts";
import { refuseManaged } from "./refuse-managed.ts";

/** What is to be different; what is absent stays. */
export interface ConnectionChange extends ConnectionName {
  /** All tags there are afterwards. */
  readonly tags?: Readonly<Record<string, string>> | undefined;
  readonly endUser?: EndUser | undefined;
}

/**
 * Changes whose a connection is and by what it is found. One transaction with its audit event; without a change there is
 * neither. Rejects with `unknown_provider_config`, `not_found`, `managed_by_resource`, `tags_outside_selector`,
 * `unknown_account`, `forbidden` or a `database_*` error.
 */
export async function changeConnection(vault: Vault, holder: KeyHolder, change: ConnectionChange): Promise<void> {
  const { tags, endUser } = change;
  await vault.database.transaction(async (transaction) => {
    const key = await admitKey(transaction, holder);
    const found = await findConnection(transaction, key, change);
    if (!found) throw noSuchConnection(change);
    refuseManaged("Connection", found, connectionText(change));
    if (tags) checkTags(key, tags);
    if (!tags && !endUser) return;
    const { connection_row_id: id } = found;
    await transaction.query(
      `update keystead.connections
          set tags = coalesce($3::jsonb, tags), end_user = coalesce($4::jsonb, end_user),
              revision = revision + 1, updated_at = now()
        where environment_id = $1 and connection_row_id = $2`,
      [key.environmentId, id, tags ? JSON.stringify(tags) : null, endUser ? JSON.stringify(endUser) : null],
    );
    await recordAuditEvent(transaction, {
      environmentId: key.environmentId,
      actor: key.actor,
      action: "connection.updated",
      targetId: id,
      targetRevision: found.revision + 1,
      fields: [...(tags ? ["tags"] : []), ...(endUser ? ["end_user"] : [])],
    });
  });
}
