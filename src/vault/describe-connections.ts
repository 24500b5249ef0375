import type { Queryable } from "../db/session-pool.ts";
import type { ConnectionState } from "./connection.ts";
import type { SecretSource } from "./owner.ts";

interface ConnectionStateRow {
  readonly owner_uid: string;
  readonly environment_id: string;
  readonly connection_row_id: string;
  readonly integration_id: string;
  readonly connection_id: string;
  readonly revision: number;
  readonly declaration_digest: string;
  readonly credentials_digest: string | null;
  readonly config_digest: string;
  readonly rest_digest: string;
  readonly sources: SecretSource[];
  readonly credentials_type: string | null;
  readonly credentials_expires_at: Date | null;
  readonly claimed: boolean;
  readonly handled_restore: string | null;
}

/**
 * What is stored for these resources, by uid, in one query for any number of them. Absent: nothing was stored yet, or
 * it was soft-deleted. Nothing is decrypted. Rejects with a `database_*` error.
 */
export async function describeConnections(
  vault: { readonly database: Queryable },
  uids: readonly string[],
): Promise<Map<string, ConnectionState>> {
  // In order of creation: should a resource have rows in two environments (its old one was never cleaned up), the newer counts.
  const rows = await vault.database.query<ConnectionStateRow>(
    `select owner_uid, environment_id, connection_row_id, integration_id, connection_id, revision,
            declaration_digest, credentials_digest, config_digest, rest_digest,
            sources, credentials_type, credentials_expires_at, claimed, handled_restore
       from keystead.connections
      where owner_uid = any($1::uuid[]) and deleted_at is null
      order by connection_row_id`,
    [uids],
  );
  return new Map(rows.map((row) => [row.owner_uid, connectionState(row)]));
}

function connectionState(row: ConnectionStateRow): ConnectionState {
  return {
    id: row.connection_row_id,
    environmentId: row.environment_id,
    integrationId: row.integration_id,
    connectionId: row.connection_id,
    revision: row.revision,
    digests: {
      declaration: row.declaration_digest,
      credentials: row.credentials_digest,
      config: row.config_digest,
      rest: row.rest_digest,
    },
    sources: row.sources,
    credentialsType: row.credentials_type ?? undefined,
    credentialsExpiresAt: row.credentials_expires_at ?? undefined,
    claimed: row.claimed,
    handledRestore: row.handled_restore ?? undefined,
  };
}
