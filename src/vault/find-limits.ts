import type { Database } from "../db/database.ts";
import { statement } from "../db/statement.ts";
import { opens } from "./permission.ts";

/** What an environment says about how often and from where its keys may be used. */
export interface EnvironmentLimits {
  readonly environmentId: string;
  /** 0: as often as anybody likes. */
  readonly requestsPerMinute: number;
  /** Undefined: from everywhere. */
  readonly allowedCidrs: readonly string[] | undefined;
}

/** A row of `keystead.environments` with them. */
export interface LimitsRow {
  readonly environment_id: string;
  readonly requests_per_minute: number;
  readonly allowed_cidrs: readonly string[] | null;
}

/** SQL: the columns of `LimitsRow`, of an environment. */
export const LIMITS_COLUMNS = "e.environment_id, e.requests_per_minute, e.allowed_cidrs::text[] as allowed_cidrs";

/** One look-up by each of two primary keys, as where a connection is read. */
const FIND_LIMITS = statement(
  "find_limits",
  `select a.position, l.*
     from unnest($1::int[], $2::bytea[]) as a (position, digest)
    cross join lateral (
      select k.environment_id
        from keystead.key_digests k
       where ${opens("k", "a.digest")}
       limit 1
    ) k
    cross join lateral (
      select ${LIMITS_COLUMNS}
        from keystead.environments e
       where e.environment_id = k.environment_id and e.deleted_at is null
       limit 1
    ) l`,
);

/**
 * The limits of the environments that these keys open, in their order; undefined for a key that opens nothing, be it
 * unknown, revoked or expired. Rejects with a `database_*` error.
 */
export async function findLimits(
  database: Pick<Database, "read">,
  keyDigests: readonly Buffer[],
): Promise<(EnvironmentLimits | undefined)[]> {
  const rows = await database.read<LimitsRow & { readonly position: number }>(FIND_LIMITS, [
    keyDigests.map((_, position) => String(position)),
    keyDigests.map((digest) => `\\x${digest.toString("hex")}`),
  ]);
  const found = new Map(rows.map((row) => [row.position, limitsOf(row)]));
  return keyDigests.map((_, position) => found.get(position));
}

/** The row as the rest of the program sees it. */
export function limitsOf(row: LimitsRow): EnvironmentLimits {
  return {
    environmentId: row.environment_id,
    requestsPerMinute: row.requests_per_minute,
    allowedCidrs: row.allowed_cidrs ?? undefined,
  };
}
