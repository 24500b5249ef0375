import { type ConnectionFilters, filterValues, MATCHES_FILTERS, queryInOrder } from "./connection-filters.ts";
import { connectionSummary, type ConnectionSummary, type ConnectionSummaryRow } from "./connection-summary.ts";
import type { Vault } from "./context.ts";
import { admits, forbidden, type Forbidden, opens, permits } from "./permission.ts";

/** Whose connections, and which of them. */
export interface ListConnectionsOptions extends ConnectionFilters {
  /** SHA-256 of the token. */
  readonly keyDigest: Buffer;
  /** Address of the caller. */
  readonly address?: string | undefined;
  /** Row id of the last connection that the caller has seen: the list goes on after it. */
  readonly after?: string | undefined;
  readonly limit: number;
  readonly offset: number;
}

/** A key that opens nothing is not told apart from an expired or revoked one. */
export type ListConnectionsResult =
  | { readonly kind: "unknown_key" }
  | Forbidden
  | { readonly kind: "found"; readonly connections: readonly ConnectionSummary[] };

/**
 * One row without a connection says that the key is good and nothing matches. Reads the primary key backwards, newest first,
 * or for one end user `connections_end_user`, which has that order as well.
 *
 * @param connections Where the connections of an environment `e` are looked for.
 */
const listFrom = (
  connections: string,
): string => `select e.environment_id, ${permits("k", "connections:list")} as permitted, c.*
     from keystead.key_digests k
     join keystead.environments e on e.environment_id = k.environment_id and e.deleted_at is null and ${admits("e", "$11")}
     left join lateral (
       select c.connection_row_id, c.numeric_id, c.connection_id, n.unique_key, n.provider, c.end_user, c.tags, c.metadata,
              c.created_at, c.updated_at, c.credentials_type, c.credentials_expires_at
         from ${connections} c
         join keystead.integrations n on n.environment_id = c.environment_id and n.integration_id = c.integration_id
        where c.environment_id = e.environment_id and c.deleted_at is null
          and ($10::uuid is null or c.connection_row_id < $10)
          and ${MATCHES_FILTERS}
          and ${permits("k", "connections:list")}
        order by c.connection_row_id desc
        limit $8 offset $9
     ) c on true
    where ${opens("k", "$1")}`;

const LIST_CONNECTIONS = listFrom("keystead.connections");

/**
 * The same for one connection id, which each integration has once at most: a look-up in each by `connections_connection_id`.
 * "offset 0" keeps the planner from going through the whole list for its order instead.
 */
const LIST_OF_ONE_ID = listFrom(`(
           select named.*
             from keystead.integrations i
            cross join lateral (
              select * from keystead.connections
               where environment_id = i.environment_id and integration_id = i.integration_id and connection_id = $2
                 and deleted_at is null
               limit 1
            ) named
            where i.environment_id = e.environment_id
           offset 0
         )`);

type ListedRow = { readonly permitted: boolean } & (ConnectionSummaryRow | { readonly connection_row_id: null });

/**
 * Connections of the key's environment, newest first, without anything secret. A list that is read part by part holds each
 * connection once that was there from the first part to the last. Rejects with a `database_*` error.
 */
export async function listConnections(vault: Vault, options: ListConnectionsOptions): Promise<ListConnectionsResult> {
  const text = options.connectionId === undefined ? LIST_CONNECTIONS : LIST_OF_ONE_ID;
  const rows = await queryInOrder<ListedRow>(vault, text, [
    options.keyDigest,
    ...filterValues(options),
    options.limit,
    options.offset,
    options.after ?? null,
    options.address ?? null,
  ]);
  const [first] = rows;
  if (!first) return { kind: "unknown_key" };
  if (!first.permitted) return forbidden("connections:list");
  const connections = rows.flatMap((row) => (row.connection_row_id === null ? [] : [connectionSummary(row)]));
  return { kind: "found", connections };
}
