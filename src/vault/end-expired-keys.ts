import { actorColumns } from "./audit.ts";
import { MAIN_SECRET_KEY } from "./describe-environments.ts";
import type { Actor } from "./owner.ts";
import type { Purges } from "./purge-connections.ts";

/** Keys of one statement: each is a row of 200 bytes with its digest and its event. */
const BATCH = 1_000;

/**
 * Erases every key whose end has come by the database's clock, with its sealed value: one that was replaced, after its grace
 * period, and a named one that has expired. Whose controller is down, or was told to leave the Environment alone, keeps none.
 * Such a key opens nothing already. Any number of processes may be at it; each skips what another has, and a key whose end
 * somebody is moving. Rejects with a `database_*` error.
 */
export async function endExpiredKeys({ database }: Purges, actor: Actor): Promise<void> {
  for (;;) {
    // The environment's own current key has no end, and would not be erased if it had one.
    const [batch] = await database.query<{ readonly size: number }>(
      `with due as (
         select k.environment_id, k.secret_key_id
           from keystead.key_digests d
           join keystead.secret_keys k on k.environment_id = d.environment_id and k.secret_key_id = d.secret_key_id
          where d.expires_at <= now() and (k.replaced_at is not null or k.name <> $5)
          order by d.expires_at
          limit ${BATCH}
            for update of k, d skip locked
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
      [...actorColumns(actor), MAIN_SECRET_KEY],
    );
    if ((batch?.size ?? 0) < BATCH) return;
  }
}
