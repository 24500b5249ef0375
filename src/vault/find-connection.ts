import type { Queryable } from "../db/session-pool.ts";
import { KeysteadError } from "../errors.ts";
import { type AdmittedKey, isSelected } from "./admit-key.ts";
import { OWNED_COLUMNS, type OwnedRow } from "./refuse-managed.ts";

/** How a request names a connection. */
export interface ConnectionName {
  readonly providerConfigKey: string;
  readonly connectionId: string;
}

/** A living connection that is about to be changed. */
export interface HeldConnection extends OwnedRow {
  readonly connection_row_id: string;
  readonly revision: number;
  readonly tags: Record<string, string>;
}

/**
 * The living connection of that name, locked until the transaction ends; none where it does not exist for the key. Rejects
 * with `unknown_provider_config`.
 */
export async function findConnection(
  transaction: Queryable,
  key: AdmittedKey,
  { providerConfigKey, connectionId }: ConnectionName,
): Promise<HeldConnection | undefined> {
  const { integration_id: integrationId } = await findIntegration(transaction, key, providerConfigKey);
  const [row] = await transaction.query<HeldConnection>(
    `select connection_row_id, revision, tags, ${OWNED_COLUMNS}
       from keystead.connections
      where environment_id = $1 and integration_id = $2 and connection_id = $3 and deleted_at is null
        for no key update`,
    [key.environmentId, integrationId, connectionId],
  );
  return row && isSelected(key, row.tags) ? row : undefined;
}

/**
 * The living integration of that name, which stays alive until the transaction ends; with the stronger lock nobody adds a
 * connection to it meanwhile. Rejects with `unknown_provider_config`.
 */
export async function findIntegration(
  transaction: Queryable,
  { environmentId }: AdmittedKey,
  providerConfigKey: string,
  lock: "share" | "no key update" = "share",
): Promise<{ readonly integration_id: string }> {
  const [row] = await transaction.query<{ readonly integration_id: string }>(
    `select integration_id from keystead.integrations
      where environment_id = $1 and unique_key = $2 and deleted_at is null
        for ${lock}`,
    [environmentId, providerConfigKey],
  );
  if (row) return row;
  throw new KeysteadError(
    "unknown_provider_config",
    `The environment has no integration ${JSON.stringify(providerConfigKey)}.`,
  );
}

/** How an error speaks of a connection. */
export function connectionText({ connectionId }: Pick<ConnectionName, "connectionId">): string {
  return `Connection ${JSON.stringify(connectionId)}`;
}

/** That the connection does not exist, at least not for the key. */
export function noSuchConnection({ connectionId }: ConnectionName): KeysteadError {
  return new KeysteadError(
    "not_found",
    `The integration has no connection with the id ${JSON.stringify(connectionId)}.`,
  );
}
