import type { Purges } from "./purge-connections.ts";
import { retentionEnd, retentionEnded } from "./retention.ts";

/** Environments of one look: its statement takes some milliseconds. */
const PAGE = 1_000;

/** How far ahead the metric looks. */
const UPCOMING = "7 days";

/** Rows counted of one kind at most: beyond, nobody needs the exact number, and counting a million takes a second. */
const UPCOMING_LIMIT = 50_000;

/** What one look found among up to 1,000 environments. */
export interface PurgeablePage {
  /** Environments that are due, or in which something is. */
  readonly environmentIds: readonly string[];
  /** Where the next look goes on; undefined after the last one. */
  readonly next: string | undefined;
}

/** Before the first environment. */
export const FIRST_PAGE = "00000000-0000-0000-0000-000000000000";

/** Where there is something to purge, by the clock of the database. Reads indexes only, a look-up or two for each environment. */
export async function findPurgeable({ database }: Purges, after: string): Promise<PurgeablePage> {
  const [page] = await database.query<{ due: string[]; last: string | null; size: number }>(
    `with page as (
       select e.environment_id, e.retention_seconds, e.deleted_at
         from keystead.environments e
        where e.environment_id > $1
        order by e.environment_id
        limit ${PAGE}
     )
     select coalesce(array_agg(e.environment_id) filter (where
              ${retentionEnded("e")}
              or exists (select from keystead.connections c where c.environment_id = e.environment_id and ${retentionEnded("c")})
              or exists (select from keystead.integrations n where n.environment_id = e.environment_id and ${retentionEnded("n")})
            ), '{}') as due,
            count(*) as size,
            (select p.environment_id from page p order by p.environment_id desc limit 1) as last
       from page e`,
    [after],
  );
  const isLast = (page?.size ?? 0) < PAGE;
  return { environmentIds: page?.due ?? [], next: isLast ? undefined : (page?.last ?? undefined) };
}

/** Rows by kind. */
export interface UpcomingPurges {
  readonly environments: number;
  readonly integrations: number;
  readonly connections: number;
}

/**
 * How many soft-deleted rows the next 7 days will purge, without those that are due already; each kind up to 50,000. So it
 * never reads what a purge has just left behind in the index.
 */
export async function countUpcomingPurges({ database }: Purges): Promise<UpcomingPurges> {
  const [counts] = await database.query<UpcomingPurges>(
    `select ${countUpcoming("e", "")} as environments,
            ${countUpcoming("n", "join keystead.integrations n on n.environment_id = e.environment_id")} as integrations,
            ${countUpcoming("c", "join keystead.connections c on c.environment_id = e.environment_id")} as connections`,
  );
  return counts ?? { environments: 0, integrations: 0, connections: 0 };
}

function countUpcoming(row: string, join: string): string {
  return `(
    select count(*)
      from (
        select from keystead.environments e ${join}
         where ${row}.deleted_at > ${retentionEnd("e")}
           and ${row}.deleted_at <= ${retentionEnd("e")} + interval '${UPCOMING}'
         limit ${UPCOMING_LIMIT}
      ) as counted
  )`;
}
