import { AUDITED_CONNECTION, insertPurgeEvents } from "./audit-fragments.ts";
import { actorColumns } from "./audit.ts";
import type { ReigningVault } from "./context.ts";
import type { PurgedKind, PurgeOptions } from "./purge-connections.ts";
import { purgeEnvironment } from "./purge-environment.ts";
import { purgeIntegration } from "./purge-integrations.ts";
import { PURGED_AT_ONCE } from "./retention.ts";

/**
 * Removes everything that was ever stored for a resource and is soft-deleted, without regard to any retention, with all that
 * is in it. To be called after its soft-delete, which has made it invisible in one transaction; the rows then go in
 * batches, and no restore can have them back from the first of them on. Calling it again goes on with what is left, which
 * any purger does as well. False when the pace's signal ended it before.
 *
 * Waits for rows that somebody holds. Rejects with `leadership_lost` or a `database_*` error.
 */
export async function purgeOwned(
  vault: ReigningVault,
  kind: PurgedKind,
  ownerUid: string,
  options: Omit<PurgeOptions, "locked">,
): Promise<boolean> {
  if (kind === "connection") return purgeConnections(vault, ownerUid, options);
  for (;;) {
    const rows = await markRows(vault, kind, ownerUid);
    if (rows.length === 0) return true;
    // Once more afterwards: where a purger is at the same rows, a batch that waited for one of its own ends before all is gone.
    for (const row of rows) if (!(await purgeRow(vault, kind, row, options))) return false;
  }
}

function purgeRow(
  vault: ReigningVault,
  kind: "environment" | "integration",
  { environmentId, id }: MarkedRow,
  options: Omit<PurgeOptions, "locked">,
): Promise<boolean> {
  const waiting: PurgeOptions = { ...options, locked: "wait" };
  if (kind === "environment") return purgeEnvironment(vault, environmentId, waiting);
  return purgeIntegration(vault, { environmentId, integrationId: id }, waiting);
}

interface MarkedRow {
  readonly environmentId: string;
  readonly id: string;
}

/** Makes the deleted rows of a resource due, for every purger: their children go with them, whatever their own time is. */
async function markRows(
  { database }: ReigningVault,
  kind: "environment" | "integration",
  ownerUid: string,
): Promise<MarkedRow[]> {
  return database.transaction((transaction) =>
    transaction.query<MarkedRow>(
      `update keystead.${kind}s
          set deleted_at = '${PURGED_AT_ONCE}'
        where owner_uid = $1 and deleted_at is not null
        returning environment_id as "environmentId", ${kind}_id as id`,
      [ownerUid],
    ),
  );
}

/** A resource has few: one for each time that its parents were made anew. */
async function purgeConnections(
  { database }: ReigningVault,
  ownerUid: string,
  { actor, purged }: Omit<PurgeOptions, "locked">,
): Promise<boolean> {
  const [row] = await database.transaction((transaction) =>
    transaction.query<{ readonly count: number }>(
      `with purged as (
         delete from keystead.connections
          where owner_uid = $1 and deleted_at is not null
         returning environment_id, connection_row_id, revision, deletion_id
       ),
       audited as (${insertPurgeEvents(AUDITED_CONNECTION, 2)})
       select count(*) as count from purged`,
      [ownerUid, ...actorColumns(actor)],
    ),
  );
  purged?.("connection", row?.count ?? 0);
  return true;
}
