import { actorColumns } from "./audit.ts";
import type { Actor } from "./owner.ts";
import type { Purges } from "./purge-connections.ts";

/** Keys of one statement: each is a row of 200 bytes with its digest and its event. */
const BATCH = 1_000;

/**
 * Erases every key that was replaced and whose grace period has ended by the database's clock, with its sealed value: whose
 * controller is down, or was told to leave the Environment alone, keeps none. Such a key opens nothing already. Any number of
 * processes may be at it; each skips what another has. Rejects with a `database_*` error.
 */
export async function endReplacedKeys({ database }: Purges, actor: Actor): Promise<void> {
  for (;;) {
    const [batch] = await database.query<{ readonly size: number }>(
      `with due as (
         select k.environment_id, k.secret_key_id
           from keystead.secret_keys k
           join keystead.key_digests d on d.environment_id = k.environment_id and d.secret_key_id = k.secret_key_id
          where k.replaced_at is not null and d.expires_at <= now()
          limit ${BATCH}
            for update of k skip locked
       ),
       ended as (
         delete from keystead.secret_keys k
          using due
          where k.environment_id = due.environment_id and k.secret_key_id = due.secret_key_id
         returning k.environment_id, k.secret_key_id, k.name
       ),
       audited as (
         insert into keystead.audit_events (
           environment_id, actor_kind, actor, field_manager, address, action, target_kind, target_id, target_revision, fields
         )
         select environment_id, $1, $2, $3, $4, 'secret-key.ended', 'secret-key', secret_key_id, 1, array[name] from ended
       )
       select count(*) as size from ended`,
      actorColumns(actor),
    );
    if ((batch?.size ?? 0) < BATCH) return;
  }
}
