import { statement } from "../db/statement.ts";
import { connectionSummary, type ConnectionSummary, type ConnectionSummaryRow } from "./connection-summary.ts";
import type { Vault } from "./context.ts";
import { admits, forbidden, type Forbidden, permits, selects } from "./permission.ts";

/** Whose connections, and which of them. Filters that are absent let everything pass; all of them must match. */
export interface ListConnectionsOptions {
  /** SHA-256 of the token. */
  readonly keyDigest: Buffer;
  /** Address of the caller. */
  readonly address?: string | undefined;
  readonly connectionId?: string | undefined;
  /** Part of a connection id, or of an end user's id, email or display name; case does not matter. */
  readonly search?: string | undefined;
  readonly endUserId?: string | undefined;
  readonly endUserOrganizationId?: string | undefined;
  /** `provider_config_key`s; an unknown one matches nothing. */
  readonly integrationIds?: readonly string[] | undefined;
  readonly tags?: Readonly<Record<string, string>> | undefined;
  readonly limit: number;
  readonly offset: number;
}

/** A key that opens nothing is not told apart from an expired or revoked one. */
export type ListConnectionsResult =
  | { readonly kind: "unknown_key" }
  | Forbidden
  | { readonly kind: "found"; readonly connections: readonly ConnectionSummary[] };

/** One row without a connection says that the key is good and nothing matches. Reads the primary key backwards: newest first. */
const LIST_CONNECTIONS = statement(
  "list_connections",
  `select e.environment_id, ${permits("k", "connections:list")} as permitted, c.*
     from keystead.key_digests k
     join keystead.environments e on e.environment_id = k.environment_id and e.deleted_at is null and ${admits("e", "$10")}
     left join lateral (
       select c.connection_row_id, c.numeric_id, c.connection_id, n.unique_key, n.provider, c.end_user, c.tags, c.metadata,
              c.created_at, c.updated_at, c.credentials_type, c.credentials_expires_at
         from keystead.connections c
         join keystead.integrations n on n.environment_id = c.environment_id and n.integration_id = c.integration_id
        where c.environment_id = e.environment_id and c.deleted_at is null
          and ($2::text is null or c.connection_id = $2)
          and ($3::text is null
               or position(lower($3) in lower(c.connection_id)) > 0
               or position(lower($3) in lower(coalesce(c.end_user->>'id', ''))) > 0
               or position(lower($3) in lower(coalesce(c.end_user->>'email', ''))) > 0
               or position(lower($3) in lower(coalesce(c.end_user->>'displayName', ''))) > 0)
          and ($4::text is null or c.end_user->>'id' = $4)
          and ($5::text is null or c.end_user->'organization'->>'id' = $5)
          and ($6::text[] is null or n.unique_key = any($6))
          and ($7::jsonb is null or c.tags @> $7)
          and ${permits("k", "connections:list")}
          and ${selects("k", "c")}
        order by c.connection_row_id desc
        limit $8 offset $9
     ) c on true
    where k.digest = $1 and (k.expires_at is null or k.expires_at > now())`,
);

type ListedRow = { readonly permitted: boolean } & (ConnectionSummaryRow | { readonly connection_row_id: null });

/** Connections of the key's environment, newest first, without anything secret. Rejects with a `database_*` error. */
export async function listConnections(vault: Vault, options: ListConnectionsOptions): Promise<ListConnectionsResult> {
  const rows = await vault.database.query<ListedRow>(LIST_CONNECTIONS.text, [
    options.keyDigest,
    options.connectionId ?? null,
    options.search ?? null,
    options.endUserId ?? null,
    options.endUserOrganizationId ?? null,
    options.integrationIds ?? null,
    options.tags ? JSON.stringify(options.tags) : null,
    options.limit,
    options.offset,
    options.address ?? null,
  ]);
  const [first] = rows;
  if (!first) return { kind: "unknown_key" };
  if (!first.permitted) return forbidden("connections:list");
  const connections = rows.flatMap((row) => (row.connection_row_id === null ? [] : [connectionSummary(row)]));
  return { kind: "found", connections };
}
