import type { Queryable } from "../db/session-pool.ts";
import { AUDITED_CONNECTION, insertDeletionEvents } from "./audit-fragments.ts";
import { actorColumns } from "./audit.ts";
import type { ReigningVault } from "./context.ts";
import type { Actor } from "./owner.ts";
import { heldReign } from "./reign.ts";
import { newDeletionId, type SoftDeleted } from "./soft-deleted.ts";

/**
 * Makes the connection of a resource invisible to every read from the commit on; the row stays until its retention
 * ends, so that it can be restored. Calling it again gives the same answer, so a crash after the commit loses nothing.
 * `undefined`: nothing was ever stored for this resource. Rejects with a `database_*` error.
 */
export async function softDeleteConnection(
  vault: ReigningVault,
  ownerUid: string,
  actor: Actor,
): Promise<SoftDeleted | undefined> {
  // Two statements: whoever lost to another process sees the winner's commit only with the second.
  const row = (await deleteRow(vault, ownerUid, actor)) ?? (await deletedBefore(vault.database, ownerUid));
  if (!row) return undefined;
  return {
    id: row.connection_row_id,
    environmentId: row.environment_id,
    deletionId: row.deletion_id,
    deletedAt: row.deleted_at,
    connections: 1,
  };
}

interface DeletedRow {
  readonly environment_id: string;
  readonly connection_row_id: string;
  readonly deletion_id: string;
  readonly deleted_at: Date;
}

async function deleteRow(vault: ReigningVault, ownerUid: string, actor: Actor): Promise<DeletedRow | undefined> {
  const [row] = await vault.database.query<DeletedRow>(
    `with ${heldReign(7)},
     deleted as (
       update keystead.connections
          set deleted_at = now(), deletion_id = $2, revision = revision + 1, resource_dirty_since = null
         from reign
        where owner_uid = $1 and deleted_at is null
       returning environment_id, connection_row_id, deletion_id, deleted_at, revision
     ),
     audited as (${insertDeletionEvents(AUDITED_CONNECTION, 3)})
     select environment_id, connection_row_id, deletion_id, deleted_at from deleted`,
    [ownerUid, newDeletionId(), ...actorColumns(actor), ...vault.reign.claim()],
  );
  return row;
}

/** The newest one, as for environments. */
async function deletedBefore(database: Queryable, ownerUid: string): Promise<DeletedRow | undefined> {
  const [row] = await database.query<DeletedRow>(
    `select environment_id, connection_row_id, deletion_id, deleted_at
       from keystead.connections
      where owner_uid = $1 and deleted_at is not null
      order by deleted_at desc
      limit 1`,
    [ownerUid],
  );
  return row;
}
