import { generateDataKey } from "../crypto/sealed-value.ts";
import { uuidv7 } from "../crypto/uuid.ts";
import type { Queryable } from "../db/session-pool.ts";
import { recordAuditEvent } from "./audit.ts";
import type { Vault } from "./context.ts";
import { type DataKeyWrapping, insertFirstWrappings, wrapDataKey } from "./data-key-wrappings.ts";
import type { Actor } from "./owner.ts";

/** Whose key is replaced, by whom, and when it is not. */
export interface RotateDataKeyOptions {
  readonly environmentId: string;
  readonly actor: Actor;
  /** Value of the annotation: nothing happens when it was handled before. */
  readonly token?: string;
  /** Nothing happens when another key is the active one by now. */
  readonly activeKeyId?: string;
}

/**
 * Gives an environment a new data key and retires the one it has; whether this call did. Every write from the commit on
 * is sealed with the new key, on every replica. A background worker takes what is stored to it. Rejects with
 * `encryption_key_unknown` or a `database_*` error. Of two at once for one token or one active key, one does it.
 */
export async function rotateDataKey(
  vault: Pick<Vault, "database" | "keys" | "environmentKeys">,
  options: RotateDataKeyOptions,
): Promise<boolean> {
  const { environmentId } = options;
  const dataKeyId = uuidv7();
  // A key service may be slow: before the transaction.
  const wrappings = await wrapDataKey(vault.keys, generateDataKey(), { environmentId, dataKeyId });
  const rotated = await vault.database.transaction((transaction) =>
    replaceKey(transaction, options, dataKeyId, wrappings),
  );
  if (rotated) vault.environmentKeys.forget(environmentId);
  return rotated;
}

async function replaceKey(
  transaction: Queryable,
  { environmentId, actor, token, activeKeyId }: RotateDataKeyOptions,
  dataKeyId: string,
  wrappings: readonly DataKeyWrapping[],
): Promise<boolean> {
  const [environment] = await transaction.query<{ revision: number }>(
    `update keystead.environments
        set last_handled_data_key_rotation = coalesce($2, last_handled_data_key_rotation)
      where environment_id = $1 and deleted_at is null
        and ($2::text is null or last_handled_data_key_rotation is distinct from $2)
        and coalesce(owner_uid = $3, true)
      returning revision`,
    // A resource whose environment another one took over asks for nothing there any more.
    [environmentId, token ?? null, actor.kind === "resource" ? actor.owner.uid : null],
  );
  if (!environment) return false;
  const retired = await transaction.query(
    `update keystead.data_keys
        set state = 'retired'
      where environment_id = $1 and state = 'active' and data_key_id = coalesce($2, data_key_id)
      returning data_key_id`,
    [environmentId, activeKeyId ?? null],
  );
  if (retired.length === 0) return false;
  await transaction.query(
    "insert into keystead.data_keys (environment_id, data_key_id, state) values ($1, $2, 'active')",
    [environmentId, dataKeyId],
  );
  await insertFirstWrappings(transaction, wrappings);
  await recordAuditEvent(transaction, {
    environmentId,
    actor,
    action: "environment.data-key-rotated",
    targetId: environmentId,
    targetRevision: environment.revision,
  });
  return true;
}
