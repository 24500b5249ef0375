import { setImmediate as nextTurn, setTimeout as delay } from "node:timers/promises";
import { asKeysteadError, KeysteadError, type ErrorCode } from "../errors.ts";
import { createFairQueue } from "./fair-queue.ts";

/** How items are put together. */
export interface BatcherOptions<Item, Result> {
  /** Items that one run takes at most. */
  readonly maxSize: number;
  /** Handles the items of one batch in one go: one result for each item, in their order. */
  readonly run: (items: readonly Item[]) => Promise<readonly Result[]>;
  /**
   * While items keep coming together: least time between the starts of two runs, unless a batch is full sooner. An item
   * that comes alone, or after one that did, never waits. Default 0: the next batch starts when the last one has ended.
   */
  readonly minIntervalMs?: number;
  /**
   * Runs that may be in flight at once. Default 1. A further one begins while a whole batch waits or the others are slow:
   * callers still come together, and a run that hangs does not stop those behind it.
   */
  readonly maxInFlight?: number;
  /** While more wait than one batch takes: the groups of which each gets its turn. Default: all are of one. */
  readonly groupOf?: (item: Item) => string;
  /** Asked when a batch starts: whether nobody waits for the item any more. It is not run, and ends as `database_timeout`. */
  readonly isLate?: (item: Item) => boolean;
}

/** Hands one item in and gives its result. */
export type Batcher<Item, Result> = (item: Item) => Promise<Result>;

interface Waiting<Item, Result> {
  readonly item: Item;
  readonly resolve: (result: Result) => void;
  readonly reject: (reason: unknown) => void;
}

/**
 * After this long nothing is gained by waiting for a run: it hangs, or waits for its commit to be on disk, while the
 * processor is idle. Most of a read take 2 ms. With 50 instead, a quiet machine of two cores read 7 % less (bench/read.ts).
 */
const SLOW_AFTER_MS = 4;

/** Failures that no item is the cause of: running the same items one by one would only fail as often as there are items. */
const COMMON = new Set<ErrorCode>(["database_unavailable", "database_timeout", "database_conflict", "leadership_lost"]);

/**
 * Group commit: while one batch is in flight the next collects, so the busier it gets the more callers share a
 * statement and a commit, and a lone caller waits for nobody.
 *
 * When a run fails for a reason that may be one item's, its items run again one by one, so that only the item that
 * caused the failure gets it. Otherwise all of them do: trying again is for their callers.
 */
export function createBatcher<Item, Result>(options: BatcherOptions<Item, Result>): Batcher<Item, Result> {
  const { maxSize, run, minIntervalMs = 0, maxInFlight = 1, groupOf = () => "", isLate = () => false } = options;
  const waiting = createFairQueue<Waiting<Item, Result>>();
  let working = 0;
  /** Of those that work, the ones whose run is slow. */
  let slow = 0;
  /** When the last batch of several items started. */
  let startedAt = -Infinity;
  let filled: (() => void) | undefined;

  /** Resolves when a whole batch waits, or when `ms` have passed. */
  const fullOrAfter = async (ms: number): Promise<void> => {
    const stop = new AbortController();
    const full = new Promise<void>((resolve) => {
      filled = resolve;
    });
    const over = delay(ms, undefined, { signal: stop.signal }).catch(() => {
      // Stopped, because the batch was full first: no timer is left behind.
    });
    await Promise.race([full, over]);
    filled = undefined;
    stop.abort();
  };

  const work = async (): Promise<void> => {
    // One turn of the event loop, so that callers who came with the same packet share the first batch too.
    await nextTurn();
    while (waiting.size > 0) {
      const pause = startedAt + minIntervalMs - performance.now();
      if (pause > 0 && waiting.size < maxSize) await fullOrAfter(pause);
      const batch = waiting.take(maxSize).filter((one) => !isLate(one.item) || refuseLate(one));
      if (batch.length === 0) continue;
      if (batch.length > 1) startedAt = performance.now();
      const inFlight = runBatch(run, batch);
      const deliver = await (maxInFlight > 1 ? noticeSlow(inFlight, countSlow) : inFlight);
      // First the next batch is sent, then the callers go on: the database works while they do.
      setImmediate(deliver);
      if (working - slow > 1 && waiting.size < maxSize) break;
    }
    working -= 1;
  };

  const startIfDue = (): void => {
    const isDue = working === slow || waiting.size >= maxSize;
    if (waiting.size === 0 || working === maxInFlight || !isDue) return;
    working += 1;
    void work();
  };

  const countSlow = (change: number): void => {
    slow += change;
    startIfDue();
  };

  return (item) =>
    new Promise<Result>((resolve, reject) => {
      waiting.push(groupOf(item), { item, resolve, reject });
      if (waiting.size >= maxSize) filled?.();
      startIfDue();
    });
}

/** Always false: it is not one to run. */
function refuseLate({ reject }: Waiting<unknown, never>): boolean {
  reject(new KeysteadError("database_timeout", "its turn did not come in time"));
  return false;
}

/** Awaits a run. Counts it in when it is slow, and out when it ends after that. */
async function noticeSlow<T>(run: Promise<T>, count: (change: number) => void): Promise<T> {
  let isSlow = false;
  const watch = setTimeout(() => {
    isSlow = true;
    count(1);
  }, SLOW_AFTER_MS);
  const result = await run;
  clearTimeout(watch);
  if (isSlow) count(-1);
  return result;
}

/** Runs a batch and gives what hands its outcomes to the callers. Never rejects. */
async function runBatch<Item, Result>(
  run: BatcherOptions<Item, Result>["run"],
  batch: readonly Waiting<Item, Result>[],
): Promise<() => void> {
  try {
    const results = await run(batch.map(({ item }) => item));
    if (results.length !== batch.length) {
      throw new KeysteadError("internal_error", `a batch of ${batch.length} items gave ${results.length} results`);
    }
    return () => {
      for (const [index, result] of results.entries()) batch[index]?.resolve(result);
    };
  } catch (thrown) {
    if (batch.length === 1 || COMMON.has(asKeysteadError(thrown).code)) {
      return () => {
        for (const { reject } of batch) reject(thrown);
      };
    }
    const deliveries: (() => void)[] = [];
    for (const single of batch) deliveries.push(await runBatch(run, [single]));
    return () => {
      for (const deliver of deliveries) deliver();
    };
  }
}
