import { inBatches } from "../db/paced-batches.ts";
import { AUDITED_INTEGRATION, insertPurgeEvents } from "./audit-fragments.ts";
import { actorColumns } from "./audit.ts";
import {
  lockClause,
  purgeConnectionsInside,
  type PurgeOptions,
  type Purges,
  type PurgeScope,
} from "./purge-connections.ts";
import { retentionEnded } from "./retention.ts";

/**
 * Removes the integrations of an environment whose retention has ended, or all that are deleted in an environment that is due
 * itself; before each of them its connections. One of which a connection is left (somebody holds it) stays as well. False
 * when the pace's signal ended it before.
 */
export async function purgeDueIntegrations(
  vault: Purges,
  environmentId: string,
  options: PurgeOptions,
): Promise<boolean> {
  for (const { integration_id: integrationId } of await findDue(vault, environmentId)) {
    if (!(await purgeConnectionsInside(vault, { environmentId, integrationId }, options))) return false;
  }
  return purgeEmptyIntegrations(vault, { environmentId }, options);
}

/** The same for one integration that is due. */
export async function purgeIntegration(
  vault: Purges,
  scope: Required<PurgeScope>,
  options: PurgeOptions,
): Promise<boolean> {
  if (!(await purgeConnectionsInside(vault, scope, options))) return false;
  return purgeEmptyIntegrations(vault, scope, options);
}

async function findDue({ database }: Purges, environmentId: string): Promise<{ integration_id: string }[]> {
  return database.query(
    `select n.integration_id
       from keystead.environments e
       join keystead.integrations n on n.environment_id = e.environment_id
      where e.environment_id = $1 and ${retentionEnded("n")}
      order by n.integration_id`,
    [environmentId],
  );
}

const BEFORE_ALL = "00000000-0000-0000-0000-000000000000";

/**
 * For the foreign key Postgres looks through all connections of the environment, for each integration: 15 ms where there are
 * 100,000. So it begins with one.
 */
const FIRST_SIZE = 1;

/** Those that are due and have no connection left; of an environment that is due, those whose own time has not come too. */
function purgeEmptyIntegrations(
  { database }: Purges,
  { environmentId, integrationId }: PurgeScope,
  options: PurgeOptions,
): Promise<boolean> {
  const text = purgeOf(options);
  return inBatches<string>(
    options.pace,
    async (size, after = BEFORE_ALL) => {
      const values = [environmentId, size, ...actorColumns(options.actor), after, integrationId ?? null];
      const [found] = await database.transaction((transaction) =>
        transaction.query<{ readonly last: string; readonly count: number }>(text, values),
      );
      if (found) options.purged?.("integration", found.count);
      return { count: found?.count ?? 0, last: found?.last };
    },
    FIRST_SIZE,
  );
}

function purgeOf(options: PurgeOptions): string {
  return `with batch as (
      select n.environment_id, n.integration_id
        from keystead.environments e
        join keystead.integrations n on n.environment_id = e.environment_id
       where e.environment_id = $1
         and ($8::uuid is null or n.integration_id = $8)
         and n.integration_id > $7
         and (${retentionEnded("n")} or (n.deleted_at is not null and ${retentionEnded("e")}))
         and not exists (
           select from keystead.connections c
            where c.environment_id = n.environment_id
              and c.integration_id = n.integration_id
              and c.deleted_at is not null
         )
       order by n.integration_id
       limit $2
         for share of e ${lockClause(options)}
         for update of n ${lockClause(options)}
    ),
    purged as (
      delete from keystead.integrations n
       using batch
       where n.environment_id = $1 and n.integration_id = batch.integration_id
      returning n.environment_id, n.integration_id, n.revision, n.deletion_id
    ),
    audited as (${insertPurgeEvents(AUDITED_INTEGRATION, 3)})
    select integration_id as last, (select count(*) from batch) as count
      from batch
     order by integration_id desc
     limit 1`;
}
