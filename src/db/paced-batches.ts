import { setTimeout as delay } from "node:timers/promises";

/** How fast a long piece of work may go. */
export interface Pace {
  /** Ends the work after the batch under way. */
  readonly signal: AbortSignal;
  /** Share of the time in which a batch may run, above 0 and up to 1; the rest is left to others. */
  readonly share: number;
}

/** What one batch went through. */
export interface Batch<Cursor> {
  readonly count: number;
  /** Where the next one goes on; undefined when nothing was left. */
  readonly last: Cursor | undefined;
}

/**
 * What a batch should take: whoever waits for its locks or its share of the disk waits no longer. A disk that is suddenly busy
 * with a checkpoint makes it ten times as long and more, which stays below 200 ms (bench/purge.ts; with 25 ms here it was 312).
 */
const TARGET_MS = 10;

/** Rows of the first batch: even at 1 ms a row it ends within the 200 ms. */
const FIRST_SIZE = 100;
/**
 * Where the way to the database or a busy machine makes every transaction slow, one of fewer rows is no faster: with sizes down
 * to one such a purge does ten rows a second. Work that begins with fewer, since its rows may be slow, keeps to that.
 */
const SMALLEST_SIZE = 50;
/** Beyond, the cost of a transaction is no part of the whole any more. */
const LARGEST_SIZE = 1_000;

/**
 * Runs `batch`, one transaction of at most `size` rows, again and again from where the last one ended, until one finds fewer
 * rows than it may take. Sizes follow what the machine manages. False when `pace.signal` ended it before; it can be called
 * again and then begins anew.
 */
export async function inBatches<Cursor>(
  pace: Pace,
  batch: (size: number, after: Cursor | undefined) => Promise<Batch<Cursor>>,
  firstSize = FIRST_SIZE,
): Promise<boolean> {
  let size = firstSize;
  let after: Cursor | undefined;
  while (!pace.signal.aborted) {
    const startedAt = performance.now();
    const { count, last } = await batch(size, after);
    if (count < size) return true;
    const tookMs = performance.now() - startedAt;
    after = last;
    size = nextSize(size, tookMs, Math.min(firstSize, SMALLEST_SIZE));
    await rest(tookMs * (1 / pace.share - 1), pace.signal);
  }
  return false;
}

/** Rows of the next batch after one of `size` rows took so long: at most twice as many. Pure. */
export function nextSize(size: number, tookMs: number, smallest = SMALLEST_SIZE): number {
  const aimed = Math.min(size * 2, Math.round((size * TARGET_MS) / Math.max(tookMs, 1)));
  return Math.min(LARGEST_SIZE, Math.max(smallest, aimed));
}

async function rest(ms: number, signal: AbortSignal): Promise<void> {
  // The timer rejects for no other reason than the signal.
  if (ms > 0) await delay(ms, undefined, { signal }).catch(() => undefined);
}
