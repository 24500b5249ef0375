import type { Queryable } from "../db/session-pool.ts";
import { recordAuditEvent } from "./audit.ts";
import {
  lockClause,
  purgeConnectionsInside,
  purgeDueConnections,
  type PurgeOptions,
  type Purges,
} from "./purge-connections.ts";
import { purgeDueIntegrations } from "./purge-integrations.ts";
import { retentionEnded } from "./retention.ts";

/**
 * Removes everything of an environment whose retention has ended: connections, then integrations, and where the environment
 * itself is due, its keys and its row. Children go before parents, each batch in a transaction of its own, so that it can
 * be broken off anywhere and called again. False when the pace's signal ended it before.
 *
 * Rows that are alive are never touched, and what somebody holds with `locked: "skip"` is left for the next time, its parents
 * with it. Rejects with a `database_*` error.
 */
export async function purgeEnvironment(vault: Purges, environmentId: string, options: PurgeOptions): Promise<boolean> {
  return (
    (await purgeDueConnections(vault, environmentId, options)) &&
    (await purgeDueIntegrations(vault, environmentId, options)) &&
    (await purgeEnvironmentItself(vault, environmentId, options))
  );
}

/** What is left of an environment that is due; nothing of one that is not. */
async function purgeEnvironmentItself(vault: Purges, environmentId: string, options: PurgeOptions): Promise<boolean> {
  if (!(await isDue(vault, environmentId))) return true;
  if (!(await purgeConnectionsInside(vault, { environmentId }, options))) return false;
  if (!(await purgeDueIntegrations(vault, environmentId, options))) return false;
  const removed = await vault.database.transaction((transaction) => removeEmpty(transaction, environmentId, options));
  if (removed) options.purged?.("environment", 1);
  return true;
}

async function isDue({ database }: Purges, environmentId: string): Promise<boolean> {
  const rows = await database.query(
    `select from keystead.environments e where e.environment_id = $1 and ${retentionEnded("e")}`,
    [environmentId],
  );
  return rows.length > 0;
}

interface EnvironmentRow {
  readonly revision: number;
  readonly deletion_id: string;
}

/**
 * The row and its keys. With the data keys goes the last means to read what a backup still holds of the environment, and
 * with the digests the last trace of its secret keys. False when an integration is left, or somebody holds the row.
 */
async function removeEmpty(transaction: Queryable, environmentId: string, options: PurgeOptions): Promise<boolean> {
  const [row] = await transaction.query<EnvironmentRow>(
    `select e.revision, e.deletion_id
       from keystead.environments e
      where e.environment_id = $1
        and ${retentionEnded("e")}
        and not exists (select from keystead.integrations n where n.environment_id = $1)
        for update of e ${lockClause(options)}`,
    [environmentId],
  );
  if (!row) return false;
  // Their digests and wrappings go with them: "on delete cascade".
  await transaction.query("delete from keystead.secret_keys where environment_id = $1", [environmentId]);
  await transaction.query("delete from keystead.data_keys where environment_id = $1", [environmentId]);
  await transaction.query("delete from keystead.environments where environment_id = $1", [environmentId]);
  await recordAuditEvent(transaction, {
    environmentId,
    actor: options.actor,
    action: "environment.purged",
    targetId: environmentId,
    targetRevision: row.revision,
    deletionId: row.deletion_id,
  });
  return true;
}
