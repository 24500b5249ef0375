import type { Queryable } from "../db/session-pool.ts";
import { recordAuditEvent } from "./audit.ts";
import type { ReigningVault } from "./context.ts";
import { withCurrentDataKey } from "./current-data-key.ts";
import { MAIN_SECRET_KEY } from "./describe-environments.ts";
import { holdEnvironment } from "./hold-environment.ts";
import type { Owner } from "./owner.ts";
import { makeSecretKey, replaceSecretKey } from "./replace-secret-key.ts";
import { nextRotation } from "./rotation-schedule.ts";

/** Which key is replaced by a new one, and why. */
export interface SecretKeyRotation {
  readonly environmentId: string;
  /** Absent: the environment's own. A named key has no schedule. */
  readonly name?: string;
  readonly owner: Owner;
  /** A token that was not handled yet, or the schedule. */
  readonly cause: { readonly kind: "token"; readonly token: string } | { readonly kind: "schedule" };
  /** How long the old key goes on working once the Secret was written; 0: it opens nothing from the commit on. */
  readonly graceSeconds: number;
}

/**
 * Gives an environment a new secret key, or a new one of a name, and remembers what it was for, in one transaction: the token it handles, or the
 * instant of the rotation after this one. False when there was nothing to do any more, as for a call that is repeated after
 * a crash; two calls at once rotate once. Rejects with `environment_gone`, `data_key_exhausted` or a `database_*` error.
 */
export function rotateSecretKey(vault: ReigningVault, rotation: SecretKeyRotation): Promise<boolean> {
  return withCurrentDataKey(() => rotateOnce(vault, rotation));
}

async function rotateOnce(vault: ReigningVault, rotation: SecretKeyRotation): Promise<boolean> {
  const { environmentId, name = MAIN_SECRET_KEY, owner, graceSeconds } = rotation;
  const made = await makeSecretKey(vault, environmentId);
  return vault.database.transaction(async (transaction) => {
    const isTurn =
      name === MAIN_SECRET_KEY ? await takeTurn(transaction, rotation) : await takeNamedTurn(transaction, rotation);
    if (!isTurn) return false;
    await replaceSecretKey(transaction, { environmentId, name, graceSeconds }, made);
    await recordAuditEvent(transaction, {
      environmentId,
      actor: { kind: "resource", owner },
      action: "secret-key.rotated",
      targetId: made.id,
      targetRevision: 1,
      fields: [name, rotation.cause.kind],
    });
    return true;
  });
}

/** The condition stands in the statement that makes it untrue: who comes second waits for the row, and finds nothing to do. */
async function takeTurn(transaction: Queryable, { environmentId, owner, cause }: SecretKeyRotation): Promise<boolean> {
  const rows = await transaction.query(
    `update keystead.environments
        set last_handled_rotation = coalesce($3, last_handled_rotation),
            next_rotation_at = ${nextRotation("now()", "rotation_seconds")},
            revision = revision + 1, updated_at = now()
      where environment_id = $1 and owner_uid = $2 and deleted_at is null
        and case when $3::text is null then next_rotation_at <= now() else last_handled_rotation is distinct from $3 end
      returning environment_id`,
    [environmentId, owner.uid, cause.kind === "token" ? cause.token : null],
  );
  return rows.length > 0;
}

/** The name is looked for once the row is held: a removal that was first leaves nothing of it, and one that waits sees the new key. */
async function takeNamedTurn(
  transaction: Queryable,
  { environmentId, name, owner, cause }: SecretKeyRotation,
): Promise<boolean> {
  if (cause.kind !== "token" || !(await holdEnvironment(transaction, environmentId, owner))) return false;
  const rows = await transaction.query(
    `update keystead.api_keys
        set last_handled_rotation = $3
      where environment_id = $1 and name = $2 and last_handled_rotation is distinct from $3
      returning name`,
    [environmentId, name ?? null, cause.token],
  );
  return rows.length > 0;
}
