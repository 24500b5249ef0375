import type { JsonValue } from "../crypto/canonical-json.ts";
import { sealValue, type SealedPlace } from "../crypto/sealed-value.ts";
import type { Queryable } from "../db/session-pool.ts";
import type { ReigningVault, Vault } from "./context.ts";
import { reserveEncryptions } from "./encryption-budget.ts";

/** What sealing needs of the vault. */
export interface Seals extends Pick<Vault, "environmentKeys" | "ivs"> {
  readonly database: Queryable;
}

/** The same for those who write what they have sealed. */
export type ReigningSeals = Seals & Pick<ReigningVault, "database" | "reign">;

/**
 * Seals a JSON value under the active data key of its environment. Rejects with `environment_gone`,
 * `encryption_key_unknown`, `data_key_exhausted` or a `database_*` error.
 */
export async function sealJson(vault: Seals, place: SealedPlace, value: JsonValue): Promise<Buffer> {
  const keySet = await vault.environmentKeys.of(place.environmentId);
  await reserveEncryptions(vault.database, place.environmentId, keySet, 1);
  return sealValue(keySet.activeKey, JSON.stringify(value), place, vault.ivs);
}
