import type { Queryable } from "../db/session-pool.ts";
import { recordAuditEvent, type AuditAction } from "./audit.ts";
import type { ReigningVault } from "./context.ts";
import type { Owner } from "./owner.ts";
import { type Deadline, millisecondsUntil } from "./rotation-schedule.ts";

/** Which key it is about. */
export interface EndingKey {
  readonly environmentId: string;
  readonly name: string;
  /** Of this key, and not of one that took its place since. */
  readonly fingerprint: string;
  readonly owner: Owner;
}

/** A pass that began before another Environment took the environment over must end none of its keys. */
const IS_OWN = "exists (select from keystead.environments e where e.environment_id = $1 and e.owner_uid = $3)";

/**
 * To be called once a Secret holds the new key: from now on the old one has its grace period and no more. Its recorded end
 * only comes nearer, so a call that is repeated, or never made, gives nobody more time. Gives the end, or `undefined` when
 * another call was first, or the environment is another Environment's by now.
 */
export async function beginGrace(vault: ReigningVault, key: EndingKey): Promise<Deadline | undefined> {
  return vault.database.transaction(async (transaction) => {
    const [ended] = await transaction.query<{ secret_key_id: string; at: Date; in_ms: number }>(
      `update keystead.key_digests d
          set expires_at = least(d.expires_at, now() + make_interval(secs => k.pending_grace_seconds))
         from keystead.secret_keys k
        where d.environment_id = $1 and d.secret_key_id = k.secret_key_id
          and k.environment_id = $1 and k.fingerprint = $2 and k.pending_grace_seconds is not null
          and ${IS_OWN}
       returning k.secret_key_id, d.expires_at as at, ${millisecondsUntil("d.expires_at")} as in_ms`,
      [key.environmentId, key.fingerprint, key.owner.uid],
    );
    if (!ended) return undefined;
    await transaction.query(
      `update keystead.secret_keys set pending_grace_seconds = null where environment_id = $1 and secret_key_id = $2`,
      [key.environmentId, ended.secret_key_id],
    );
    await recordEnd(transaction, key, "secret-key.grace-began", ended.secret_key_id);
    return { at: ended.at, inMs: ended.in_ms };
  });
}

/**
 * Removes a key with its sealed value, if its end has come by the database's clock: one that was replaced, or a named one
 * that has expired. False otherwise.
 */
export async function endSecretKey(vault: ReigningVault, key: EndingKey): Promise<boolean> {
  return vault.database.transaction(async (transaction) => {
    const [removed] = await transaction.query<{ secret_key_id: string }>(
      `delete from keystead.secret_keys k
        using keystead.key_digests d
        where k.environment_id = $1 and k.fingerprint = $2
          and d.environment_id = $1 and d.secret_key_id = k.secret_key_id and d.expires_at <= now()
          and ${IS_OWN}
       returning k.secret_key_id`,
      [key.environmentId, key.fingerprint, key.owner.uid],
    );
    if (removed) await recordEnd(transaction, key, "secret-key.ended", removed.secret_key_id);
    return removed !== undefined;
  });
}

function recordEnd(
  transaction: Queryable,
  { environmentId, name, owner }: EndingKey,
  action: AuditAction,
  targetId: string,
): Promise<void> {
  const actor = { kind: "resource", owner } as const;
  return recordAuditEvent(transaction, { environmentId, actor, action, targetId, targetRevision: 1, fields: [name] });
}
