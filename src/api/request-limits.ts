import { createBatcher } from "../db/batch.ts";
import { READ_LIMIT_MS } from "../db/connection-settings.ts";
import type { Database } from "../db/database.ts";
import { exchangeRequestCounts, forgetRequestCounts } from "../vault/exchange-request-counts.ts";
import { type EnvironmentLimits, findLimits } from "../vault/find-limits.ts";
import { type EnvironmentLimit, newEnvironmentLimit, renew, takeIn } from "./environment-limit.ts";

/** How often and from where keys may be used, over all processes on one database. */
export interface RequestLimits {
  /**
   * The limit of the environment that a key opens; undefined when it opens nothing. At once while the key is in use, else
   * after a look-up that is shared by those who come together. What is known counts for 1.5 s, and decides about limits
   * alone: whether the key still opens anything is for each route's own statement. Rejects with a `database_*` error.
   */
  of(keyDigest: Buffer): EnvironmentLimit | Promise<EnvironmentLimit | undefined>;
  /** The same after a look-up of its own, whatever is known. Rejects with a `database_*` error. */
  anew(keyDigest: Buffer): Promise<EnvironmentLimit | undefined>;
  /** To be called when a route found that the key opens nothing: the next request with it is looked up. */
  forget(keyDigest: Buffer): void;
  /**
   * To be called once a second: tells the others what was let in since, takes in what they did, reads limits anew, and looks
   * whether the keys that came since still open something. Asks the database nothing while there are no requests. Rejects
   * with a `database_*` error.
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

/** Environments of one exchange, and keys of one look. */
const EXCHANGE_BATCH = 1_000;

/** Counts of processes that are gone are removed by whoever looks, this often. */
const FORGET_INTERVAL_MS = 300_000;

interface LookUp {
  readonly keyDigest: Buffer;
  /** By `performance.now()`. */
  readonly askedAt: number;
}

/** A key that opened something when it was looked up last. */
interface KnownKey {
  readonly digest: Buffer;
  readonly limit: EnvironmentLimit;
  readonly knownAt: number;
  /** Whether it came since. */
  isUsed: boolean;
}

/** Knows nothing yet. */
export function createRequestLimits({ database, now = () => performance.now() }: RequestLimitsOptions): RequestLimits {
  const environments = new Map<string, EnvironmentLimit>();
  const keys = new Map<string, KnownKey>();
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

  /** Takes in what a look-up found, at an instant that is not after the look. */
  const learn = (digest: Buffer, limits: EnvironmentLimits | undefined, knownAt: number): KnownKey | undefined => {
    const key = nameOf(digest);
    const isUsed = keys.get(key)?.isUsed ?? false;
    keys.delete(key);
    if (!limits) return undefined;
    const known = environments.get(limits.environmentId);
    if (known) renew(known, limits, now());
    const limit = known ?? newEnvironmentLimit(limits, now());
    environments.set(limits.environmentId, limit);
    const learned = { digest, limit, knownAt, isUsed };
    keys.set(key, learned);
    const [first] = keys.keys();
    if (keys.size > MAX_KEYS && first !== undefined) keys.delete(first);
    return learned;
  };

  const anew = async (keyDigest: Buffer): Promise<EnvironmentLimit | undefined> => {
    const knownAt = now();
    return learn(keyDigest, await find({ keyDigest, askedAt: performance.now() }), knownAt)?.limit;
  };

  /** Those that came since they were looked up, so that none of them has to be on its way in. */
  const lookAgain = async (): Promise<void> => {
    const used = [...keys.values()].filter(({ isUsed }) => isUsed);
    for (const key of used) key.isUsed = false;
    for (let from = 0; from < used.length; from += EXCHANGE_BATCH) {
      const knownAt = now();
      const some = used.slice(from, from + EXCHANGE_BATCH).map(({ digest }) => digest);
      const found = await findLimits(database, some);
      for (const [index, digest] of some.entries()) learn(digest, found[index], knownAt);
    }
  };

  const exchangeSome = async (active: readonly EnvironmentLimit[]): Promise<void> => {
    const askedAt = now();
    const told = new Map(active.map((limit) => [limit.limits.environmentId, limit.admitted]));
    const counts = active.map(({ limits, counterId, admitted, admittedBefore, bucket }) => ({
      environmentId: limits.environmentId,
      counterId,
      admitted,
      tokens: bucket.tokens,
      changed: admitted !== admittedBefore,
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
    for (const [key, { limit }] of keys) if (limit.usedAt < idleSince) keys.delete(key);
  };

  return {
    of(keyDigest) {
      const known = keys.get(nameOf(keyDigest));
      if (!known || now() - known.knownAt >= FRESH_MS) return anew(keyDigest);
      known.isUsed = true;
      return known.limit;
    },
    anew,
    forget: (keyDigest) => void keys.delete(nameOf(keyDigest)),
    async exchange() {
      forgetIdle();
      const active = [...environments.values()].filter((limit) => limit.usedAt > limit.askedAt);
      for (let from = 0; from < active.length; from += EXCHANGE_BATCH) {
        await exchangeSome(active.slice(from, from + EXCHANGE_BATCH));
      }
      await lookAgain();
      if (active.length > 0 && now() - forgottenAt > FORGET_INTERVAL_MS) {
        forgottenAt = now();
        await forgetRequestCounts(database);
      }
    },
  };
}

function nameOf(keyDigest: Buffer): string {
  return keyDigest.toString("latin1");
}
