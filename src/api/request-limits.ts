import { createBatcher } from "../db/batch.ts";
import { READ_LIMIT_MS } from "../db/connection-settings.ts";
import type { Database } from "../db/database.ts";
import { exchangeRequestCounts, forgetRequestCounts } from "../vault/exchange-request-counts.ts";
import { findLimits } from "../vault/find-limits.ts";
import { type EnvironmentLimit, newEnvironmentLimit, renew, takeIn } from "./environment-limit.ts";

/** How often and from where keys may be used, over all processes on one database. */
export interface RequestLimits {
  /**
   * The limit of the environment that a key opens; undefined when it opens nothing. At once while the key is in use, else
   * after a look-up that is shared by those who come together. What is known counts for 1.5 s, and decides about limits
   * alone: whether the key still opens anything is for each route's own statement. Rejects with a `database_*` error.
   */
  of(keyDigest: Buffer): EnvironmentLimit | Promise<EnvironmentLimit | undefined>;
  /**
   * To be called once a second: tells the others what was let in since, takes in what they did, and reads limits anew. Asks
   * the database nothing while there are no requests. Rejects with a `database_*` error.
   */
  exchange(): Promise<void>;
}

interface RequestLimitsOptions {
  readonly database: Pick<Database, "read" | "query">;
  /** Milliseconds of a clock that does not step back. */
  readonly now?: () => number;
}

/** Longer than an exchange takes to come, so that keys in use are never looked up; a change applies within 2 s. */
const FRESH_MS = 1_500;

/** After that a burst is whole again, and what it owes is paid: nothing is forgotten with it. */
const KEPT_MS = 120_000;

/** Keys that are remembered, those found first going first: 2 MB. */
const MAX_KEYS = 10_000;

/** Keys of one look-up, and look-ups in flight: those of keys that nobody has wait among themselves. */
const FIND_BATCH = 64;
const FINDS_IN_FLIGHT = 2;

/** Environments of one exchange. */
const EXCHANGE_BATCH = 1_000;

/** Counts of processes that are gone are removed by whoever looks, this often. */
const FORGET_INTERVAL_MS = 300_000;

interface LookUp {
  readonly keyDigest: Buffer;
  /** By `performance.now()`. */
  readonly askedAt: number;
}

/** Knows nothing yet. */
export function createRequestLimits({ database, now = () => performance.now() }: RequestLimitsOptions): RequestLimits {
  const environments = new Map<string, EnvironmentLimit>();
  const keys = new Map<string, EnvironmentLimit>();
  let forgottenAt = now();
  const find = createBatcher({
    maxSize: FIND_BATCH,
    maxInFlight: FINDS_IN_FLIGHT,
    isLate: ({ askedAt }: LookUp) => performance.now() - askedAt > READ_LIMIT_MS,
    run: (lookUps: readonly LookUp[]) =>
      findLimits(
        database,
        lookUps.map(({ keyDigest }) => keyDigest),
      ),
  });

  const lookUp = async (key: string, keyDigest: Buffer): Promise<EnvironmentLimit | undefined> => {
    const limits = await find({ keyDigest, askedAt: performance.now() });
    keys.delete(key);
    if (!limits) return undefined;
    const known = environments.get(limits.environmentId);
    if (known) renew(known, limits, now());
    const limit = known ?? newEnvironmentLimit(limits, now());
    environments.set(limits.environmentId, limit);
    keys.set(key, limit);
    const [first] = keys.keys();
    if (keys.size > MAX_KEYS && first !== undefined) keys.delete(first);
    return limit;
  };

  const exchangeSome = async (active: readonly EnvironmentLimit[]): Promise<void> => {
    const askedAt = now();
    const told = new Map(active.map((limit) => [limit.limits.environmentId, limit.admitted]));
    const counts = active.map(({ limits, counterId, admitted, admittedBefore, bucket }) => ({
      environmentId: limits.environmentId,
      counterId,
      admitted,
      tokens: bucket.tokens,
      changed: admitted > admittedBefore,
    }));
    const exchanged = await exchangeRequestCounts(database, counts);
    for (const one of exchanged) {
      const limit = environments.get(one.environmentId);
      if (limit) takeIn(limit, one, told.get(one.environmentId) ?? 0, askedAt);
    }
  };

  const forgetIdle = (): void => {
    const idleSince = now() - KEPT_MS;
    const idle = [...environments].filter(([, { usedAt }]) => usedAt < idleSince);
    if (idle.length === 0) return;
    for (const [environmentId] of idle) environments.delete(environmentId);
    for (const [key, { usedAt }] of keys) if (usedAt < idleSince) keys.delete(key);
  };

  return {
    of(keyDigest) {
      const key = keyDigest.toString("latin1");
      const known = keys.get(key);
      return known && now() - known.knownAt < FRESH_MS ? known : lookUp(key, keyDigest);
    },
    async exchange() {
      forgetIdle();
      const active = [...environments.values()].filter((limit) => limit.usedAt > limit.askedAt);
      for (let from = 0; from < active.length; from += EXCHANGE_BATCH) {
        await exchangeSome(active.slice(from, from + EXCHANGE_BATCH));
      }
      if (active.length > 0 && now() - forgottenAt > FORGET_INTERVAL_MS) {
        forgottenAt = now();
        await forgetRequestCounts(database);
      }
    },
  };
}
