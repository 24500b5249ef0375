import { Secret } from "../crypto/secret.ts";
import { tokenFingerprint } from "../crypto/token.ts";
import type { FoundConnectionRow, ReadPermissions } from "./connection-reads.ts";
import { connectionSummary, type ConnectionSummary } from "./connection-summary.ts";
import type { Vault } from "./context.ts";
import { forbidden, type Forbidden } from "./permission.ts";

/** Who asks for what. */
export interface ReadConnectionOptions {
  /** SHA-256 of the token. */
  readonly keyDigest: Buffer;
  readonly providerConfigKey: string;
  readonly connectionId: string;
  /** Whether the answer makes no sense without credentials; otherwise a key that may not read them gets the rest. */
  readonly needsCredentials?: boolean;
  /** Address of the caller. */
  readonly address?: string | undefined;
}

/** A connection with everything it holds. */
export interface ConnectionRecord extends ConnectionSummary {
  /** JSON text of an object. */
  readonly config: Secret;
  /** JSON text of the credentials in Nango's shape; absent while the connection has none, or the key may not read them. */
  readonly credentials: Secret | undefined;
  readonly mayReadCredentials: boolean;
}

/** The API answers each kind differently: 401, 403, 400, 404, 200. */
export type ReadConnectionResult =
  | { readonly kind: "unknown_key" }
  | Forbidden
  | { readonly kind: "unknown_integration" }
  | { readonly kind: "not_found" }
  | { readonly kind: "found"; readonly connection: ConnectionRecord };

/**
 * A connection with its credentials, for whoever holds the environment's key. It is recorded in the statement that reads
 * it, before the value is opened: what cannot be audited is not handed out, and an event may speak of a read that failed
 * after it. Callers of the same moment share the statement. Rejects with `sealed_value_invalid`, `encryption_key_unknown`
 * or a `database_*` error.
 */
export async function readConnection(vault: Vault, options: ReadConnectionOptions): Promise<ReadConnectionResult> {
  const { keyDigest, providerConfigKey, connectionId, address } = options;
  const keyFingerprint = tokenFingerprint(keyDigest);
  const askedAt = performance.now();
  const read = { keyDigest, keyFingerprint, providerConfigKey, connectionId, address, askedAt };
  const row = await vault.readConnectionRow(read);
  if (!row) return { kind: "unknown_key" };
  if (!row.may_read) return forbidden("connections:read");
  if (options.needsCredentials === true && !row.may_read_credentials) return forbidden("connections:read_credentials");
  if (row.integration_id === null) return { kind: "unknown_integration" };
  if (row.connection_row_id === null) return { kind: "not_found" };
  return { kind: "found", connection: await openConnection(vault, row) };
}

/** The connection of a row, with all that is sealed in it. Rejects as {@link readConnection}. */
export async function openConnection(
  vault: Vault,
  row: FoundConnectionRow & ReadPermissions,
): Promise<ConnectionRecord> {
  const place = { environmentId: row.environment_id, rowId: row.connection_row_id };
  const config = await vault.environmentKeys.open(Buffer.from(row.config_sealed, "base64"), {
    ...place,
    label: "connection.config",
    revision: row.config_revision,
  });
  const credentials =
    row.credentials_sealed !== null && row.credentials_revision !== null
      ? await vault.environmentKeys.open(Buffer.from(row.credentials_sealed, "base64"), {
          ...place,
          label: "connection.credentials",
          revision: row.credentials_revision,
        })
      : undefined;
  return {
    ...connectionSummary(row),
    config: new Secret(config),
    credentials: credentials === undefined ? undefined : new Secret(credentials),
    mayReadCredentials: row.may_read_credentials,
  };
}
