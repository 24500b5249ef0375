import type { JsonValue } from "../crypto/canonical-json.ts";
import { sealValue, type SealedPlace } from "../crypto/sealed-value.ts";
import type { Queryable } from "../db/session-pool.ts";
import { KeysteadError } from "../errors.ts";
import type { ReigningVault, Vault } from "./context.ts";
import { reserveEncryptions } from "./encryption-budget.ts";
import type { EnvironmentKeySet } from "./environment-keys.ts";

/** What sealing needs of the vault. */
export interface Seals extends Pick<Vault, "environmentKeys" | "ivs"> {
  readonly database: Queryable;
}

/** The same for those who write what they have sealed. */
export type ReigningSeals = Seals & Pick<ReigningVault, "database" | "reign">;

/**
 * Seals a JSON value under the active data key of its environment. Rejects with `environment_gone`,
 * `encryption_key_unknown`, `data_key_exhausted`, `data_key_replaced` (seal again) or a `database_*` error.
 */
export async function sealJson(vault: Seals, place: SealedPlace, value: JsonValue): Promise<Buffer> {
  return sealText(vault, place, JSON.stringify(value));
}

/** The same for a text that is no JSON. */
export async function sealText(vault: Seals, place: SealedPlace, text: string): Promise<Buffer> {
  const { activeKey } = await keysForSealing(vault, place.environmentId, 1);
  return sealValue(activeKey, text, place, vault.ivs);
}

/**
 * The keys of an environment, with `count` encryptions under the active one counted. A key that was replaced is found out
 * here at the latest when a block is used up; before that, when the sealed value is written (`data_key_replaced`).
 */
export async function keysForSealing(vault: Seals, environmentId: string, count: number): Promise<EnvironmentKeySet> {
  const known = await vault.environmentKeys.of(environmentId);
  if (await reserveEncryptions(vault.database, environmentId, known, count)) return known;
  vault.environmentKeys.forget(environmentId);
  const current = await vault.environmentKeys.of(environmentId);
  if (await reserveEncryptions(vault.database, environmentId, current, count)) return current;
  throw new KeysteadError("data_key_replaced", `the data key of environment ${environmentId} is being replaced`);
}
