import { recordAuditEvent } from "./audit.ts";
import type { Vault } from "./context.ts";
import type { Actor } from "./owner.ts";

/** What these operations work with. */
type Keeper = Pick<Vault, "database">;

/**
 * Half of what one key may make (SP 800-38D, 8.3): at 10,000 encryptions a second the other half lasts two days and a
 * half, while the replacement takes minutes.
 */
const WORN_ENCRYPTIONS = 2 ** 31;

/**
 * How long an old key outlives its last value: whoever has read a value just before it was re-encrypted, and has yet to
 * load the key, still finds it.
 */
const UNUSED_SECONDS = 60;

/** An environment whose active key has done enough. */
export interface WornKey {
  readonly environmentId: string;
  readonly dataKeyId: string;
}

/** Active keys of living environments that have to be replaced before they reach their limit. */
export async function wornDataKeys({ database }: Keeper): Promise<readonly WornKey[]> {
  const rows = await database.query<{ environment_id: string; data_key_id: string }>(
    `select d.environment_id, d.data_key_id
       from keystead.data_keys d
       join keystead.environments e on e.environment_id = d.environment_id and e.deleted_at is null
      where d.state = 'active' and d.encryption_count >= ${WORN_ENCRYPTIONS}`,
  );
  return rows.map((row) => ({ environmentId: row.environment_id, dataKeyId: row.data_key_id }));
}

/** Environments, soft-deleted ones too, with an old key whose values have to be looked for, or that is due to be destroyed. */
export async function environmentsToReencrypt({ database }: Keeper): Promise<readonly string[]> {
  const rows = await database.query<{ environment_id: string }>(
    `select distinct environment_id
       from keystead.data_keys
      where state = 'retired'
        and (unused_since is null or unused_since <= now() - make_interval(secs => ${UNUSED_SECONDS}))`,
  );
  return rows.map(({ environment_id }) => environment_id);
}

/** How many old keys there are. */
export async function countRetiredKeys({ database }: Keeper): Promise<number> {
  const [row] = await database.query<{ n: number }>(
    "select count(*) as n from keystead.data_keys where state = 'retired'",
  );
  return row?.n ?? 0;
}

/**
 * The old keys of an environment, once all writes have ended that may have sealed a value with one: what a look at the
 * rows finds afterwards is all there is.
 */
export async function settledRetiredKeys({ database }: Keeper, environmentId: string): Promise<readonly string[]> {
  const rows = await database.query<{ data_key_id: string }>(
    "select data_key_id from keystead.data_keys where environment_id = $1 and state = 'retired' for update",
    [environmentId],
  );
  return rows.map(({ data_key_id }) => data_key_id);
}

/**
 * To be called after a complete pass that found no value under these keys: notes it, or destroys those of which it was
 * noted a minute ago, wrappings included; how many were destroyed.
 */
export async function settleUnusedKeys(
  { database }: Keeper,
  environmentId: string,
  dataKeyIds: readonly string[],
  actor: Actor,
): Promise<number> {
  return database.transaction(async (transaction) => {
    const destroyed = await transaction.query(
      `delete from keystead.data_keys
        where environment_id = $1 and data_key_id = any($2::uuid[]) and state = 'retired'
          and unused_since <= now() - make_interval(secs => ${UNUSED_SECONDS})
        returning data_key_id`,
      [environmentId, dataKeyIds],
    );
    await transaction.query(
      `update keystead.data_keys
          set unused_since = now()
        where environment_id = $1 and data_key_id = any($2::uuid[]) and state = 'retired' and unused_since is null`,
      [environmentId, dataKeyIds],
    );
    if (destroyed.length === 0) return 0;
    const [environment] = await transaction.query<{ revision: number }>(
      "select revision from keystead.environments where environment_id = $1",
      [environmentId],
    );
    await recordAuditEvent(transaction, {
      environmentId,
      actor,
      action: "environment.data-key-destroyed",
      targetId: environmentId,
      targetRevision: environment?.revision ?? 0,
    });
    return destroyed.length;
  });
}
