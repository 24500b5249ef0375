import { AUDITED_CONNECTION, insertOrphanEvents } from "./audit-fragments.ts";
import { actorColumns } from "./audit.ts";
import type { ReigningVault } from "./context.ts";
import type { Actor } from "./owner.ts";
import { heldReign } from "./reign.ts";

/** A connection that nobody manages any more. */
export interface OrphanedConnection {
  readonly id: string;
  readonly environmentId: string;
}

/**
 * Leaves the connection of a resource alive and as it is, and makes it nobody's: as if it had been made over the API, which may
 * change its metadata from now on. Calling it again does nothing. `undefined`: nothing of the resource is alive.
 */
export async function orphanConnection(
  vault: ReigningVault,
  ownerUid: string,
  actor: Actor,
): Promise<OrphanedConnection | undefined> {
  const [row] = await vault.database.query<OrphanedConnection>(
    `with ${heldReign(6)},
     orphaned as (
       update keystead.connections
          set owner_cluster = null, owner_release = null, owner_namespace = null, owner_name = null, owner_uid = null,
              claimed = true, handled_restore = null, metadata_declared = false, sources = '[]',
              resource_dirty_since = null, revision = revision + 1
         from reign
        where owner_uid = $1 and deleted_at is null
       returning environment_id, connection_row_id, deletion_id, revision
     ),
     audited as (${insertOrphanEvents(AUDITED_CONNECTION, 2)})
     select connection_row_id as id, environment_id as "environmentId" from orphaned`,
    [ownerUid, ...actorColumns(actor), ...vault.reign.claim()],
  );
  return row;
}
