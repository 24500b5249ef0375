import { hasCode } from "../errors.ts";
import type { Vault } from "../vault/context.ts";
import type { Actor } from "../vault/owner.ts";
import { reencryptEnvironment } from "../vault/reencrypt-environment.ts";
import {
  countRetiredKeys,
  environmentsToReencrypt,
  settledRetiredKeys,
  settleUnusedKeys,
  wornDataKeys,
} from "../vault/retired-data-keys.ts";
import { rotateDataKey } from "../vault/rotate-data-key.ts";
import type { WorkerOptions } from "./worker.ts";

/** What the worker tells while it works. */
export interface RekeyingMetrics {
  /** Old data keys that are there. */
  retired(count: number): void;
  /** Values that were taken to the new key. */
  reencrypted(count: number): void;
  destroyed(count: number): void;
}

/** What the worker needs of its process. */
interface RekeyerDeps {
  readonly vault: Vault;
  readonly log: WorkerOptions["log"];
  readonly metrics: RekeyingMetrics;
}

/** Two small queries a turn; a replaced key is at work on within this time. */
const INTERVAL_MS = 15_000;

/**
 * Passes of one turn over one environment: the second finds what somebody held during the first, and the one that finds
 * nothing is what shows that the old key can go.
 */
const PASSES = 5;

const ACTOR: Actor = { kind: "system", name: "rekeyer" };

/**
 * Replaces data keys that come near their limit, takes the values of replaced ones to the new key, and destroys the old
 * one when nothing is under it any more.
 */
export function createRekeyer(deps: RekeyerDeps): Omit<WorkerOptions, "metrics" | "log"> {
  const { vault, log, metrics } = deps;
  const known = new Map<string, number>();
  return {
    name: "rekeyer",
    intervalMs: INTERVAL_MS,
    async run(signal) {
      for (const { environmentId, dataKeyId } of await wornDataKeys(vault)) {
        if (await rotateDataKey(vault, { environmentId, activeKeyId: dataKeyId, actor: ACTOR }))
          log.info({ environmentId }, "a data key came near its limit and was replaced");
      }
      metrics.retired(await countRetiredKeys(vault));
      for (const environmentId of await environmentsToReencrypt(vault)) {
        if (signal.aborted) return;
        const broken = await reencrypt(deps, environmentId, signal);
        // Once for each change: only a person can mend it.
        if (broken > 0 && broken !== known.get(environmentId))
          log.warn({ environmentId, rows: broken }, "values of these rows do not open, so the old data key is kept");
        known.set(environmentId, broken);
      }
      metrics.retired(await countRetiredKeys(vault));
    },
  };
}

/** How many rows have a value that does not open. */
async function reencrypt(
  { vault, log, metrics }: RekeyerDeps,
  environmentId: string,
  signal: AbortSignal,
): Promise<number> {
  const retired = await settledRetiredKeys(vault, environmentId);
  vault.environmentKeys.forget(environmentId);
  for (let pass = 1; pass <= PASSES; pass += 1) {
    const { reencrypted, held, broken, complete } = await passOver(vault, environmentId, signal);
    metrics.reencrypted(reencrypted);
    if (!complete) return 0;
    if (reencrypted + held > 0) continue;
    if (broken > 0) return broken;
    const destroyed = await settleUnusedKeys(vault, environmentId, retired, ACTOR);
    metrics.destroyed(destroyed);
    if (destroyed > 0)
      log.info({ environmentId }, "everything is under the new data key, and the old one is destroyed");
    return 0;
  }
  return 0;
}

/** A key that is replaced once more during a pass is met by the next turn. */
async function passOver(vault: Vault, environmentId: string, signal: AbortSignal) {
  try {
    return await reencryptEnvironment(vault, environmentId, signal);
  } catch (thrown) {
    if (hasCode(thrown, "data_key_replaced")) return { reencrypted: 0, held: 0, broken: 0, complete: false };
    throw thrown;
  }
}
