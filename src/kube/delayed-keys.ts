import { createDeadlineHeap } from "./deadline-heap.ts";

/** Keys that come up by themselves at their time. */
export interface DelayedKeys<K> {
  /** Milliseconds from now. Of several times for one key the earliest counts. */
  set(key: K, ms: number): void;
  delete(key: K): void;
  clear(): void;
  readonly size: number;
}

/** Longer waits are taken in pieces: a timer holds 2^31 ms at most. */
const MAX_TIMER_MS = 60 * 60_000;

/** One timer for all of them, set to the earliest. */
export function createDelayedKeys<K>(due: (key: K) => void): DelayedKeys<K> {
  let heap = createDeadlineHeap<K>();
  let timer: NodeJS.Timeout | undefined;
  let timerAt = Number.POSITIVE_INFINITY;

  const fire = (): void => {
    timer = undefined;
    timerAt = Number.POSITIVE_INFINITY;
    const now = performance.now();
    for (let key = heap.takeDue(now); key !== undefined; key = heap.takeDue(now)) due(key);
    arm();
  };

  const arm = (): void => {
    const nextAt = heap.nextAt();
    if (nextAt === undefined || nextAt >= timerAt) return;
    clearTimeout(timer);
    timerAt = nextAt;
    timer = setTimeout(fire, Math.min(MAX_TIMER_MS, Math.max(0, nextAt - performance.now())));
  };

  return {
    set(key, ms) {
      heap.set(key, performance.now() + ms);
      arm();
    },
    // The timer may find nothing to do, which costs less than to set it again for every key that was faster.
    delete: (key) => heap.delete(key),
    clear() {
      clearTimeout(timer);
      timerAt = Number.POSITIVE_INFINITY;
      heap = createDeadlineHeap<K>();
    },
    get size() {
      return heap.size;
    },
  };
}
