import type { Queryable } from "../db/session-pool.ts";
import { limitsOf, LIMITS_COLUMNS, type EnvironmentLimits, type LimitsRow } from "./find-limits.ts";

/** What was let in of an environment. */
interface Count {
  /** A UUID of one process and one stretch of requests without a long pause. */
  readonly counterId: string;
  /** Since the counter began. */
  readonly admitted: number;
  /** What is left of the burst, as far as its process knows; below 0 it owes. */
  readonly tokens: number;
}

/** What this process let in. */
export interface OwnCount extends Count {
  readonly environmentId: string;
  /** Whether anything is new; otherwise it is not written. */
  readonly changed: boolean;
}

/** What another one did, or this one before a pause. */
export interface OtherCount extends Count {
  /** Since it said so. */
  readonly ageSeconds: number;
}

/** An environment that was asked about, as it is now, and what the others let in. */
export interface ExchangedCounts extends EnvironmentLimits {
  readonly others: readonly OtherCount[];
}

/** Longer than a counter may be without news and go on. */
const FORGOTTEN_MINUTES = 10;

const EXCHANGE = `
  with own as (
    select *
      from unnest($1::uuid[], $2::uuid[], $3::bigint[], $4::double precision[], $5::boolean[])
        as o (environment_id, counter_id, admitted, tokens, changed)
  ),
  written as (
    insert into keystead.request_counts (environment_id, counter_id, admitted, tokens)
    select o.environment_id, o.counter_id, o.admitted, o.tokens from own o where o.changed order by o.environment_id
    on conflict (environment_id, counter_id)
      do update set admitted = excluded.admitted, tokens = excluded.tokens, counted_at = now()
  )
  select ${LIMITS_COLUMNS},
         array(
           select json_build_object(
                    'counterId', c.counter_id, 'admitted', c.admitted, 'tokens', c.tokens,
                    'ageSeconds', extract(epoch from now() - c.counted_at)
                  )
             from keystead.request_counts c
            where c.environment_id = e.environment_id and c.counter_id <> o.counter_id
         ) as others
    from own o
    join keystead.environments e on e.environment_id = o.environment_id and e.deleted_at is null`;

/**
 * Says what this process let in, and gives what the environments say now and what the others let in, in one statement. An
 * environment that is gone has no entry. Rejects with a `database_*` error.
 */
export async function exchangeRequestCounts(
  database: Queryable,
  counts: readonly OwnCount[],
): Promise<ExchangedCounts[]> {
  const rows = await database.query<LimitsRow & { readonly others: readonly OtherCount[] }>(EXCHANGE, [
    counts.map(({ environmentId }) => environmentId),
    counts.map(({ counterId }) => counterId),
    counts.map(({ admitted }) => String(admitted)),
    counts.map(({ tokens }) => String(tokens)),
    counts.map(({ changed }) => String(changed)),
  ]);
  return rows.map((row) => Object.assign(limitsOf(row), { others: row.others }));
}

/** Removes counters that ended. Rejects with a `database_*` error. */
export async function forgetRequestCounts(database: Queryable): Promise<void> {
  await database.query(
    `delete from keystead.request_counts where counted_at < now() - make_interval(mins => ${FORGOTTEN_MINUTES})`,
  );
}
