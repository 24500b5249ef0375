import type { SqlValue } from "../db/session-pool.ts";
import type { Vault } from "./context.ts";
import { selects } from "./permission.ts";

/** Which connections a list holds. Filters that are absent let everything pass; all of them must match. */
export interface ConnectionFilters {
  readonly connectionId?: string | undefined;
  /** Part of a connection id, or of an end user's id, email or display name; case does not matter. */
  readonly search?: string | undefined;
  readonly endUserId?: string | undefined;
  readonly endUserOrganizationId?: string | undefined;
  /** `provider_config_key`s; an unknown one matches nothing. */
  readonly integrationIds?: readonly string[] | undefined;
  readonly tags?: Readonly<Record<string, string>> | undefined;
}

/** SQL: whether a connection `c` of an integration `n` is one of those, to a key `k`. Its parameters are $2 to $7. */
export const MATCHES_FILTERS = `($2::text is null or c.connection_id = $2)
          and ($3::text is null
               or position(lower($3) in lower(c.connection_id)) > 0
               or position(lower($3) in lower(coalesce(c.end_user->>'id', ''))) > 0
               or position(lower($3) in lower(coalesce(c.end_user->>'email', ''))) > 0
               or position(lower($3) in lower(coalesce(c.end_user->>'displayName', ''))) > 0)
          and ($4::text is null or c.end_user is not null and c.end_user->>'id' = $4)
          and ($5::text is null or c.end_user->'organization'->>'id' = $5)
          and ($6::text[] is null or n.unique_key = any($6))
          and ($7::jsonb is null or c.tags @> $7)
          and ${selects("k", "c")}`;

/** The parameters. */
export function filterValues(filters: ConnectionFilters): SqlValue[] {
  return [
    filters.connectionId ?? null,
    filters.search ?? null,
    filters.endUserId ?? null,
    filters.endUserOrganizationId ?? null,
    filters.integrationIds ?? null,
    filters.tags ? JSON.stringify(filters.tags) : null,
  ];
}

/**
 * Rows of a list, along the index that has its order: a part of it then costs what it holds. Otherwise the planner reads and
 * sorts all that is left of the list for each part, where a table was never analyzed or is read through a filter.
 */
export async function queryInOrder<Row extends object>(
  { database }: Pick<Vault, "database">,
  text: string,
  values: readonly SqlValue[],
): Promise<Row[]> {
  return database.transaction(async (transaction) => {
    await transaction.query("set local enable_sort = off");
    return transaction.query<Row>(text, values);
  });
}
