import { type ConnectionFilters, filterValues, MATCHES_FILTERS, queryInOrder } from "./connection-filters.ts";
import { connectionSummary, type ConnectionSummary, type ConnectionSummaryRow } from "./connection-summary.ts";
import type { Vault } from "./context.ts";
import { admits, forbidden, type Forbidden, opens, permits } from "./permission.ts";
import { retentionEnded } from "./retention.ts";

/** Where a list of deleted connections has come to. The instant is text, because a `Date` would cut it to milliseconds. */
export interface DeletedPlace {
  readonly deletedAt: string;
  readonly id: string;
}

/** Whose deleted connections, and which of them. */
export interface ListDeletedConnectionsOptions extends ConnectionFilters {
  /** SHA-256 of the token. */
  readonly keyDigest: Buffer;
  /** Address of the caller. */
  readonly address?: string | undefined;
  /** The list goes on after it. */
  readonly after?: DeletedPlace | undefined;
  readonly limit: number;
  readonly offset: number;
}

/** A connection that can still be restored. */
export interface DeletedConnection extends ConnectionSummary {
  readonly place: DeletedPlace;
  readonly deletedAt: Date;
  /** When its retention ends, by what the environment says today. */
  readonly purgeAt: Date;
}

/** As for living connections. */
export type ListDeletedConnectionsResult =
  | { readonly kind: "unknown_key" }
  | Forbidden
  | { readonly kind: "found"; readonly connections: readonly DeletedConnection[] };

interface DeletedRow extends ConnectionSummaryRow {
  readonly deleted_at: Date;
  readonly deleted_at_text: string;
  readonly purge_at: Date;
}

/** Reads `connections_deleted` backwards. */
const LIST_DELETED = `select e.environment_id, ${permits("k", "connections:list")} as permitted, c.*
     from keystead.key_digests k
     join keystead.environments e on e.environment_id = k.environment_id and e.deleted_at is null and ${admits("e", "$12")}
     left join lateral (
       select c.connection_row_id, c.numeric_id, c.connection_id, n.unique_key, n.provider, c.end_user, c.tags, c.metadata,
              c.created_at, c.updated_at, c.credentials_type, c.credentials_expires_at,
              c.deleted_at, c.deleted_at::text as deleted_at_text,
              c.deleted_at + make_interval(secs => e.retention_seconds) as purge_at
         from keystead.connections c
         join keystead.integrations n on n.environment_id = c.environment_id and n.integration_id = c.integration_id
        where c.environment_id = e.environment_id and c.deleted_at is not null and not (${retentionEnded("c")})
          and ($10::timestamptz is null or (c.deleted_at, c.connection_row_id) < ($10, $11::uuid))
          and ${MATCHES_FILTERS}
          and ${permits("k", "connections:list")}
        order by c.deleted_at desc, c.connection_row_id desc
        limit $8 offset $9
     ) c on true
    where ${opens("k", "$1")}`;

type ListedRow = { readonly permitted: boolean } & (DeletedRow | { readonly connection_row_id: null });

/**
 * Soft-deleted connections of the key's environment whose retention has not ended, last deleted first, those of deleted
 * integrations and of resources included. Rejects with a `database_*` error.
 */
export async function listDeletedConnections(
  vault: Vault,
  options: ListDeletedConnectionsOptions,
): Promise<ListDeletedConnectionsResult> {
  const { after, keyDigest, limit, offset } = options;
  const rows = await queryInOrder<ListedRow>(vault, LIST_DELETED, [
    keyDigest,
    ...filterValues(options),
    limit,
    offset,
    after?.deletedAt ?? null,
    after?.id ?? null,
    options.address ?? null,
  ]);
  const [first] = rows;
  if (!first) return { kind: "unknown_key" };
  if (!first.permitted) return forbidden("connections:list");
  const connections = rows.flatMap((row) => (row.connection_row_id === null ? [] : [deletedConnection(row)]));
  return { kind: "found", connections };
}

function deletedConnection(row: DeletedRow): DeletedConnection {
  return {
    ...connectionSummary(row),
    place: { deletedAt: row.deleted_at_text, id: row.connection_row_id },
    deletedAt: row.deleted_at,
    purgeAt: row.purge_at,
  };
}
