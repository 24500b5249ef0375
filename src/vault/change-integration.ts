import type { JsonObject } from "../crypto/canonical-json.ts";
import type { Queryable } from "../db/session-pool.ts";
import { KeysteadError } from "../errors.ts";
import { scopesOf } from "./add-integration.ts";
import type { KeyHolder } from "./admit-key.ts";
import { recordAuditEvent } from "./audit.ts";
import { authModeOf } from "./auth-mode.ts";
import type { Vault } from "./context.ts";
import { type HeldIntegration, holdOwnIntegration } from "./find-integration.ts";
import { checkClient } from "./integration-client.ts";
import { integrationSummary, type IntegrationSummary, type IntegrationSummaryRow } from "./list-integrations.ts";
import { sealingTransaction } from "./sealing-transaction.ts";

/** What is to be different; what is absent stays. */
export interface IntegrationChange {
  readonly uniqueKey: string;
  /** Another name, possible while there are no connections. */
  readonly newUniqueKey?: string | undefined;
  readonly displayName?: string | undefined;
  readonly client?: JsonObject | undefined;
}

/**
 * Changes an integration that no resource manages. One transaction with its audit event; without a change there is neither.
 * Rejects with `not_found`, `managed_by_resource`, `credentials_mismatch`, `integration_has_connections`, `unique_key_taken`,
 * and as `sealingTransaction` does.
 */
export async function changeIntegration(
  vault: Vault,
  holder: KeyHolder,
  change: IntegrationChange,
): Promise<IntegrationSummary> {
  const { displayName, client } = change;
  return sealingTransaction(vault, holder, 1, async (transaction, key, seal) => {
    const found = await holdOwnIntegration(transaction, key, change.uniqueKey);
    if (client) checkClient(authModeOf(found.settings), client);
    const uniqueKey = change.newUniqueKey ?? found.unique_key;
    const renames = uniqueKey !== found.unique_key;
    if (renames) await checkRename(transaction, found, uniqueKey);
    if (!renames && displayName === undefined && !client) return integrationSummary(found);

    const revision = found.revision + 1;
    const place = { rowId: found.integration_id, revision, label: "integration.client" } as const;
    const [row] = await transaction.query<IntegrationSummaryRow>(UPDATE, [
      key.environmentId,
      found.integration_id,
      uniqueKey,
      displayName ?? found.display_name,
      JSON.stringify(client ? { ...found.settings, scopes: scopesOf(client) } : found.settings),
      client ? seal(place, client) : null,
      revision,
    ]);
    await recordAuditEvent(transaction, {
      environmentId: key.environmentId,
      actor: key.actor,
      action: "integration.updated",
      targetId: found.integration_id,
      targetRevision: revision,
      fields: changedParts(renames, change),
    });
    return integrationSummary(row ?? found);
  });
}

const UPDATE = `update keystead.integrations
     set unique_key = $3, display_name = $4, settings = $5,
         client_sealed = coalesce($6::bytea, client_sealed),
         client_revision = case when $6::bytea is null then client_revision else $7::bigint end,
         revision = $7::bigint, updated_at = now()
   where environment_id = $1 and integration_id = $2
  returning environment_id, integration_id, unique_key, provider, display_name, settings, created_at, updated_at`;

/** Applications ask for connections by the name. A stronger lock than that of the row keeps others from taking the new one. */
async function checkRename(transaction: Queryable, found: HeldIntegration, uniqueKey: string): Promise<void> {
  const { environment_id: environmentId, integration_id: id } = found;
  // Names are given out one at a time: whoever adds an integration holds the environment as well, and weaker.
  await transaction.query("select from keystead.environments where environment_id = $1 for no key update", [
    environmentId,
  ]);
  const [row] = await transaction.query<{ readonly is_taken: boolean; readonly has_connections: boolean }>(
    `select exists (
              select from keystead.integrations
               where environment_id = $1 and unique_key = $3 and deleted_at is null) as is_taken,
            exists (
              select from keystead.connections
               where environment_id = $1 and integration_id = $2 and deleted_at is null
                 and connection_id is not null) as has_connections`,
    [environmentId, id, uniqueKey],
  );
  if (row?.has_connections === true) {
    throw new KeysteadError("integration_has_connections", "An integration with connections keeps its name.");
  }
  if (row?.is_taken === true) {
    throw new KeysteadError("unique_key_taken", `The environment has an integration ${JSON.stringify(uniqueKey)}.`);
  }
}

function changedParts(renames: boolean, { displayName, client }: IntegrationChange): string[] {
  return [
    ...(renames ? ["unique_key"] : []),
    ...(displayName === undefined ? [] : ["display_name"]),
    ...(client ? ["client"] : []),
  ];
}
