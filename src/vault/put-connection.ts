import type { JsonObject } from "../crypto/canonical-json.ts";
import { Secret } from "../crypto/secret.ts";
import { uuidv7 } from "../crypto/uuid.ts";
import type { Queryable } from "../db/session-pool.ts";
import { KeysteadError } from "../errors.ts";
import { type AdmittedKey, isSelected, type KeyHolder } from "./admit-key.ts";
import { recordAuditEvent } from "./audit.ts";
import { authModeOf } from "./auth-mode.ts";
import type { DesiredCredentials, EndUser } from "./connection.ts";
import type { Vault } from "./context.ts";
import type { ConnectionRecord } from "./read-connection.ts";
import { OWNED_COLUMNS, type OwnedRow, refuseManaged } from "./refuse-managed.ts";
import { type Seal, sealingTransaction } from "./sealing-transaction.ts";

/** What an application wants to be stored. What is absent stays as it is, or is empty in a new connection. */
export interface ConnectionToPut {
  readonly providerConfigKey: string;
  readonly connectionId: string;
  /** Null: the provider needs none. */
  readonly credentials: DesiredCredentials | null;
  readonly config?: JsonObject | undefined;
  readonly metadata?: JsonObject | undefined;
  readonly tags?: Readonly<Record<string, string>> | undefined;
  readonly endUser?: EndUser | undefined;
}

interface IntegrationRow {
  readonly integration_id: string;
  readonly provider: string;
  readonly settings: JsonObject;
}

interface FoundRow extends OwnedRow {
  readonly connection_row_id: string;
  readonly revision: number;
  readonly tags: Record<string, string>;
  readonly metadata: JsonObject | null;
  readonly end_user: EndUser | null;
  readonly config_sealed: Buffer;
  readonly config_revision: number;
}

/** Everything that is known before a row is written. */
interface Place {
  readonly key: AdmittedKey;
  readonly integration: IntegrationRow;
  readonly found: FoundRow | undefined;
  readonly put: ConnectionToPut;
}

/**
 * Stores a connection that no resource manages: a new one, or in the place of the one that has its id. One transaction with
 * its audit event; of two at once the second replaces what the first stored. It resolves with all of the connection, but of
 * what the request left out only for a key that may read it.
 *
 * Rejects with `not_found` (no such integration), `credentials_mismatch`, `managed_by_resource`, `connection_id_in_use` (by
 * one that does not exist for the key), `tags_outside_selector`, and as `sealingTransaction` does.
 */
export async function putConnection(vault: Vault, holder: KeyHolder, put: ConnectionToPut): Promise<ConnectionRecord> {
  return sealingTransaction(vault, holder, 2, async (transaction, key, seal) => {
    const integration = await holdIntegration(transaction, key, put);
    checkCredentials(integration, put);
    const found = await holdConnection(transaction, key, integration, put.connectionId);
    if (found) {
      refuseManaged("Connection", found, `Connection ${JSON.stringify(put.connectionId)}`);
      if (!isSelected(key, found.tags)) throw idInUse(put);
    }
    checkTags(key, put.tags ?? found?.tags ?? {});
    return writeConnection(vault, transaction, { key, integration, found, put }, seal);
  });
}

async function holdIntegration(
  transaction: Queryable,
  { environmentId }: AdmittedKey,
  { providerConfigKey }: ConnectionToPut,
): Promise<IntegrationRow> {
  const [integration] = await transaction.query<IntegrationRow>(
    `select integration_id, provider, settings
       from keystead.integrations
      where environment_id = $1 and unique_key = $2 and deleted_at is null
        for share`,
    [environmentId, providerConfigKey],
  );
  if (integration) return integration;
  throw new KeysteadError("not_found", `The environment has no integration ${JSON.stringify(providerConfigKey)}.`);
}

async function holdConnection(
  transaction: Queryable,
  { environmentId }: AdmittedKey,
  { integration_id: integrationId }: IntegrationRow,
  connectionId: string,
): Promise<FoundRow | undefined> {
  const [row] = await transaction.query<FoundRow>(
    `select connection_row_id, revision, tags, metadata, end_user, config_sealed, config_revision, ${OWNED_COLUMNS}
       from keystead.connections
      where environment_id = $1 and integration_id = $2 and connection_id = $3 and deleted_at is null
        for no key update`,
    [environmentId, integrationId, connectionId],
  );
  return row;
}

function checkCredentials({ settings }: IntegrationRow, { credentials, providerConfigKey }: ConnectionToPut): void {
  const type = credentials?.type ?? "NONE";
  const mode = authModeOf(settings);
  if (type === mode) return;
  throw new KeysteadError(
    "credentials_mismatch",
    `Integration ${JSON.stringify(providerConfigKey)} is of mode ${mode}, and the credentials are of type ${type}.`,
  );
}

/** Whoever makes a connection has to be able to see it afterwards. */
export function checkTags(key: AdmittedKey, tags: Readonly<Record<string, string>>): void {
  if (isSelected(key, tags)) return;
  throw new KeysteadError(
    "tags_outside_selector",
    "This key is for connections with certain tags only, and the connection would not have all of them.",
  );
}

function idInUse({ connectionId }: ConnectionToPut): KeysteadError {
  return new KeysteadError("connection_id_in_use", `The connection id ${JSON.stringify(connectionId)} is in use.`);
}

async function writeConnection(
  vault: Vault,
  transaction: Queryable,
  { key, integration, found, put }: Place,
  seal: Seal,
): Promise<ConnectionRecord> {
  const { environmentId, actor } = key;
  const id = found?.connection_row_id ?? uuidv7();
  const place = { rowId: id, revision: (found?.revision ?? 0) + 1 };
  const config = put.config ?? (found ? undefined : {});
  const metadata = put.metadata ?? found?.metadata ?? null;
  const tags = put.tags ?? found?.tags ?? {};
  const endUser = put.endUser ?? found?.end_user ?? null;
  const values = [
    environmentId,
    id,
    place.revision,
    put.credentials?.type ?? null,
    put.credentials && seal({ ...place, label: "connection.credentials" }, put.credentials.value),
    put.credentials?.expiresAt ?? null,
    config ? seal({ ...place, label: "connection.config" }, config) : null,
    metadata && JSON.stringify(metadata),
    JSON.stringify(tags),
    endUser && JSON.stringify(endUser),
  ];
  const [row] = await transaction.query<WrittenRow>(
    found ? REPLACE : INSERT,
    found ? values : [...values, integration.integration_id, put.connectionId],
  );
  // Somebody else made it since it was looked for: it runs again, and finds it.
  if (!row) throw new KeysteadError("database_conflict", "another connection of this id was made at the same moment");
  await recordAuditEvent(transaction, {
    environmentId,
    actor,
    action: found ? "connection.updated" : "connection.created",
    targetId: id,
    targetRevision: place.revision,
    ...(found && { fields: changedParts(put) }),
  });
  return {
    ...(await shownParts(vault, { key, integration, found, put })),
    id,
    numericId: row.numeric_id,
    environmentId,
    connectionId: put.connectionId,
    providerConfigKey: put.providerConfigKey,
    provider: integration.provider,
    createdAt: row.created_at,
    updatedAt: row.updated_at,
    credentialsType: put.credentials?.type,
    credentialsExpiresAt: put.credentials?.expiresAt,
    credentials: put.credentials ? new Secret(JSON.stringify(put.credentials.value)) : undefined,
    mayReadCredentials: key.mayReadCredentials,
  };
}

/** What was sent; of what was left out and stays as it was stored before, only what the key may read. */
async function shownParts(
  vault: Vault,
  { key, found, put }: Place,
): Promise<Pick<ConnectionRecord, "endUser" | "tags" | "metadata" | "config">> {
  const known = key.mayRead ? found : undefined;
  return {
    endUser: put.endUser ?? known?.end_user ?? null,
    tags: put.tags ?? known?.tags ?? {},
    metadata: put.metadata ?? known?.metadata ?? null,
    config: put.config ? new Secret(JSON.stringify(put.config)) : await openConfig(vault, key.environmentId, known),
  };
}

interface WrittenRow {
  readonly numeric_id: number;
  readonly created_at: Date;
  readonly updated_at: Date;
}

/** Digests are of what a resource declares, and none declares this. */
const INSERT = `insert into keystead.connections (
    environment_id, connection_row_id, revision, credentials_type, credentials_sealed, credentials_revision,
    credentials_expires_at, config_sealed, config_revision, metadata, metadata_declared, tags, end_user,
    integration_id, connection_id, declaration_digest, config_digest, rest_digest, sources
  )
  values (
    $1, $2, $3::bigint, $4, $5::bytea, case when $5::bytea is not null then $3::bigint end,
    $6, $7, $3::bigint, $8, false, $9, $10,
    $11, $12, '', '', '', '[]'
  )
  on conflict do nothing
  returning numeric_id, created_at, updated_at`;

const REPLACE = `update keystead.connections
     set revision = $3::bigint,
         credentials_type = $4,
         credentials_sealed = $5::bytea,
         credentials_revision = case when $5::bytea is not null then $3::bigint end,
         credentials_expires_at = $6,
         config_sealed = coalesce($7::bytea, config_sealed),
         config_revision = case when $7::bytea is null then config_revision else $3::bigint end,
         metadata = $8,
         tags = $9,
         end_user = $10,
         updated_at = now()
   where environment_id = $1 and connection_row_id = $2
  returning numeric_id, created_at, updated_at`;

function changedParts({ config, metadata, tags, endUser }: ConnectionToPut): string[] {
  const given = { config, metadata, tags, end_user: endUser };
  return ["credentials", ...Object.entries(given).flatMap(([name, value]) => (value === undefined ? [] : [name]))];
}

async function openConfig(vault: Vault, environmentId: string, found: FoundRow | undefined): Promise<Secret> {
  if (!found) return new Secret("{}");
  const text = await vault.environmentKeys.open(found.config_sealed, {
    label: "connection.config",
    environmentId,
    rowId: found.connection_row_id,
    revision: found.config_revision,
  });
  return new Secret(text);
}
