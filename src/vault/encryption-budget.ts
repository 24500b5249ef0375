import type { Queryable } from "../db/session-pool.ts";
import { KeysteadError } from "../errors.ts";
import type { EnvironmentKeySet } from "./environment-keys.ts";

/** NIST SP 800-38D section 8.3: at most 2^32 encryptions under one key with random 96-bit IVs. */
const MAXIMUM_ENCRYPTIONS = 2 ** 32;

/**
 * Encryptions a process reserves at a time. What it does not use is lost at its end, so the count in the database is
 * never too low; it would take 4 million restarts to waste a key.
 */
export const RESERVED_ENCRYPTIONS = 1_024;

/** What is left of this process's reservation. Keys that are dropped from memory take their rest with them. */
const reservations = new WeakMap<EnvironmentKeySet, number>();

/** Says that the key set was made in this process with its first block already counted in the database. */
export function grantFirstEncryptions(keySet: EnvironmentKeySet): void {
  reservations.set(keySet, RESERVED_ENCRYPTIONS);
}

/**
 * To be called before sealing `count` values under an environment's active key: counts them in the database, a block at
 * a time. Two callers at once may reserve a block each. False when the key is not the active one any more. Rejects with
 * `data_key_exhausted` when the key has to be replaced first, or with a `database_*` error.
 */
export async function reserveEncryptions(
  database: Queryable,
  environmentId: string,
  keySet: EnvironmentKeySet,
  count: number,
): Promise<boolean> {
  const available = reservations.get(keySet) ?? 0;
  if (available >= count) {
    reservations.set(keySet, available - count);
    return true;
  }
  const block = Math.max(RESERVED_ENCRYPTIONS, count);
  const rows = await database.query(
    `update keystead.data_keys
        set encryption_count = encryption_count + $3
      where environment_id = $1 and data_key_id = $2 and state = 'active' and encryption_count + $3 <= ${MAXIMUM_ENCRYPTIONS}
      returning data_key_id`,
    [environmentId, keySet.activeKey.id, block],
  );
  if (rows.length === 0) return await checkReplaced(database, environmentId, keySet.activeKey.id);
  reservations.set(keySet, (reservations.get(keySet) ?? 0) + block - count);
  return true;
}

/** False when the key was replaced; throws when it is at its end. */
async function checkReplaced(database: Queryable, environmentId: string, dataKeyId: string): Promise<false> {
  const active = await database.query(
    "select from keystead.data_keys where environment_id = $1 and data_key_id = $2 and state = 'active'",
    [environmentId, dataKeyId],
  );
  if (active.length === 0) return false;
  throw new KeysteadError(
    "data_key_exhausted",
    `data key ${dataKeyId} of environment ${environmentId} has made its ${MAXIMUM_ENCRYPTIONS} encryptions`,
  );
}
