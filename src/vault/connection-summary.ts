import type { JsonObject } from "../crypto/canonical-json.ts";
import type { EndUser } from "./connection.ts";

/** Everything about a connection but what is secret. */
export interface ConnectionSummary {
  /** Row id, a UUID. */
  readonly id: string;
  /** The whole-number id of Nango's contract. */
  readonly numericId: number;
  readonly environmentId: string;
  readonly connectionId: string;
  readonly providerConfigKey: string;
  readonly provider: string;
  readonly endUser: EndUser | null;
  readonly tags: Readonly<Record<string, string>>;
  readonly metadata: JsonObject | null;
  readonly createdAt: Date;
  readonly updatedAt: Date;
  readonly credentialsType: string | undefined;
  readonly credentialsExpiresAt: Date | undefined;
}

/** Columns of a connection with its integration, as every read of connections selects them. */
export interface ConnectionSummaryRow {
  readonly environment_id: string;
  readonly connection_row_id: string;
  readonly numeric_id: number;
  readonly connection_id: string;
  readonly unique_key: string;
  readonly provider: string;
  readonly end_user: EndUser | null;
  readonly tags: Record<string, string>;
  readonly metadata: JsonObject | null;
  readonly created_at: Date;
  readonly updated_at: Date;
  readonly credentials_type: string | null;
  readonly credentials_expires_at: Date | null;
}

/** Pure. */
export function connectionSummary(row: ConnectionSummaryRow): ConnectionSummary {
  return {
    id: row.connection_row_id,
    numericId: row.numeric_id,
    environmentId: row.environment_id,
    connectionId: row.connection_id,
    providerConfigKey: row.unique_key,
    provider: row.provider,
    endUser: row.end_user,
    tags: row.tags,
    metadata: row.metadata,
    createdAt: row.created_at,
    updatedAt: row.updated_at,
    credentialsType: row.credentials_type ?? undefined,
    credentialsExpiresAt: row.credentials_expires_at ?? undefined,
  };
}
