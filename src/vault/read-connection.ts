import { Secret } from "../crypto/secret.ts";
import { tokenFingerprint } from "../crypto/token.ts";
import { statement } from "../db/statement.ts";
import { connectionSummary, type ConnectionSummary, type ConnectionSummaryRow } from "./connection-summary.ts";
import type { Vault } from "./context.ts";

/** Who asks for what. */
export interface ReadConnectionOptions {
  /** SHA-256 of the token. */
  readonly keyDigest: Buffer;
  readonly providerConfigKey: string;
  readonly connectionId: string;
  /** Address of the caller, for the audit event. */
  readonly address?: string | undefined;
}

/** A connection with everything it holds. */
export interface ConnectionRecord extends ConnectionSummary {
  /** JSON text of an object. */
  readonly config: Secret;
  /** JSON text of the credentials in Nango's shape; absent while the connection has none. */
  readonly credentials: Secret | undefined;
}

/** The API answers each kind differently: 401, 400, 404, 200. */
export type ReadConnectionResult =
  | { readonly kind: "unknown_key" }
  | { readonly kind: "unknown_integration" }
  | { readonly kind: "not_found" }
  | { readonly kind: "found"; readonly connection: ConnectionRecord };

/**
 * Key, environment, integration and connection in one statement, so that nothing can be remembered beyond a revocation.
 * Joins by `key_digests`' primary key, `environments`' primary key, `integrations_unique_key`, `connections_connection_id`.
 */
const READ_CONNECTION = statement(
  "read_connection",
  `select n.integration_id, n.unique_key, n.provider,
          e.environment_id, c.connection_row_id, c.numeric_id, c.connection_id, c.end_user, c.tags, c.metadata,
          c.created_at, c.updated_at, c.credentials_type, c.credentials_expires_at,
          c.credentials_sealed, c.credentials_revision, c.config_sealed, c.config_revision, c.revision
     from keystead.key_digests k
     join keystead.environments e on e.environment_id = k.environment_id and e.deleted_at is null
     left join keystead.integrations n
       on n.environment_id = k.environment_id and n.unique_key = $2 and n.deleted_at is null
     left join keystead.connections c
       on c.environment_id = n.environment_id and c.integration_id = n.integration_id
      and c.connection_id = $3 and c.deleted_at is null
    where k.digest = $1 and (k.expires_at is null or k.expires_at > now())`,
);

interface FoundRow extends ConnectionSummaryRow {
  readonly integration_id: string;
  readonly credentials_sealed: Buffer | null;
  readonly credentials_revision: number | null;
  readonly config_sealed: Buffer;
  readonly config_revision: number;
  readonly revision: number;
}

type ConnectionRow =
  | FoundRow
  | { readonly integration_id: string; readonly connection_row_id: null }
  | { readonly integration_id: null; readonly connection_row_id: null };

/**
 * A connection with its credentials, for whoever holds the environment's key. The read is recorded before it resolves:
 * what cannot be audited is not handed out. Rejects with `sealed_value_invalid`, `encryption_key_unknown` or a
 * `database_*` error.
 */
export async function readConnection(vault: Vault, options: ReadConnectionOptions): Promise<ReadConnectionResult> {
  const { keyDigest, providerConfigKey, connectionId } = options;
  const [row] = await vault.database.read<ConnectionRow>(READ_CONNECTION, [keyDigest, providerConfigKey, connectionId]);
  if (!row) return { kind: "unknown_key" };
  if (row.integration_id === null) return { kind: "unknown_integration" };
  if (row.connection_row_id === null) return { kind: "not_found" };
  // Opened first: a value that does not open was not handed out, so its read is not recorded.
  const connection = await openConnection(vault, row);
  await vault.auditReads({
    environmentId: row.environment_id,
    keyFingerprint: tokenFingerprint(keyDigest),
    address: options.address,
    action: "connection.credentials-read",
    targetId: row.connection_row_id,
    targetRevision: row.revision,
  });
  return { kind: "found", connection };
}

async function openConnection(vault: Vault, row: FoundRow): Promise<ConnectionRecord> {
  const place = { environmentId: row.environment_id, rowId: row.connection_row_id };
  const config = await vault.environmentKeys.open(row.config_sealed, {
    ...place,
    label: "connection.config",
    revision: row.config_revision,
  });
  const credentials =
    row.credentials_sealed !== null && row.credentials_revision !== null
      ? await vault.environmentKeys.open(row.credentials_sealed, {
          ...place,
          label: "connection.credentials",
          revision: row.credentials_revision,
        })
      : undefined;
  return {
    ...connectionSummary(row),
    config: new Secret(config),
    credentials: credentials === undefined ? undefined : new Secret(credentials),
  };
}
