import type { JsonObject } from "../crypto/canonical-json.ts";
import { sealValue, type SealedPlace } from "../crypto/sealed-value.ts";
import { CONFLICT_ATTEMPTS } from "../db/database.ts";
import type { Queryable } from "../db/session-pool.ts";
import { admitKey, type AdmittedKey, checkKey, type KeyHolder } from "./admit-key.ts";
import type { Vault } from "./context.ts";
import { withCurrentDataKey } from "./current-data-key.ts";
import { keysForSealing } from "./seal.ts";

/** Seals a value under the data key of the transaction's environment. */
export type Seal = (place: Omit<SealedPlace, "environmentId">, value: JsonObject) => Buffer;

/**
 * One transaction of a key's holder that may seal up to `count` values. Keys are fetched and encryptions counted before it
 * begins: both take connections of their own, and transactions that each wait for a second one would wait for each other.
 * Rejects with `unknown_account`, `forbidden`, `data_key_exhausted`, a `database_*` error, or what `work` rejects with.
 */
export async function sealingTransaction<T>(
  vault: Vault,
  holder: KeyHolder,
  count: number,
  work: (transaction: Queryable, key: AdmittedKey, seal: Seal) => Promise<T>,
): Promise<T> {
  const { environmentId } = await checkKey(vault, holder);
  return withCurrentDataKey(async () => {
    // A transaction that meets another seals anew.
    const { activeKey } = await keysForSealing(vault, environmentId, count * CONFLICT_ATTEMPTS);
    return vault.database.transaction(async (transaction) => {
      const key = await admitKey(transaction, holder);
      return work(transaction, key, (place, value) =>
        sealValue(activeKey, JSON.stringify(value), { ...place, environmentId }, vault.ivs),
      );
    });
  });
}
