import type { ObjectKey } from "./object.ts";
import type { WorkPriority } from "./work-lines.ts";
import type { WorkQueueMetrics, WorkQueueOptions, WorkQueueSnapshot, WorkRuns, WorkTurn } from "./work-runs.ts";
import { depthOf, drain, schedulePump, snapshotOf, stuckFor, when } from "./work-runs.ts";
import type { Requeue } from "./work-schedule.ts";
import { addKey, createWorkSchedule, delayKey } from "./work-schedule.ts";

export type { Requeue, WorkPriority, WorkQueueMetrics, WorkQueueOptions, WorkQueueSnapshot, WorkTurn };

/** Keys with work to do. Disposing breaks off what runs; whoever wants it to end by itself drains before. */
export interface WorkQueue extends AsyncDisposable {
  start(): void;
  /** The key is run once more, however often it is added until then. */
  add(key: ObjectKey, priority: WorkPriority): void;
  /** As `add`, later; `resync` by default. Of several times the earliest counts, and the next run of the key forgets it, since every run decides anew. */
  addAfter(key: ObjectKey, ms: number, priority?: WorkPriority): void;
  /** Keys that wait for a run, without the delayed ones. */
  depth(priority?: WorkPriority): number;
  /** Resolves when fewer than `limit` keys wait: for whoever feeds a great many. */
  whenBelow(limit: number): Promise<void>;
  /** Resolves when no key waits and none runs. Delayed keys do not count. */
  whenIdle(): Promise<void>;
  /**
   * Ends the queue: nothing is accepted or begun any more, and runs may end by themselves until `cutOff` fires; then their
   * signals do. Resolves when none runs any more, or one second after that.
   */
  drain(cutOff: AbortSignal): Promise<void>;
  snapshot(now?: number): WorkQueueSnapshot;
  /**
   * Why nothing can be run any more, at `now` (`performance.now()`), if so: every place is held by a run that ignores its
   * signal. Only a restart frees them.
   */
  unhealthy(now: number): string | undefined;
}

/** A first retry waits half of it on average; the cap is how long an object that nobody mends is left alone. */
const DEFAULT_BACKOFF = { baseMs: 5, capMs: 5 * 60_000 };

/** Longer than any call or statement may take that a run may still be in when it is told to end. */
const STUCK_MS = 60_000;

/** Of the slots, those that only changed keys get: one in eight, at least one, unless there is only one. */
const RESERVED_SHARE = 8;

/**
 * Runs keys: never two runs of one key at once, and each at least once after it was last added.
 *
 *     add --> waiting --> running --> done: forgotten
 *              ^   ^         |
 *              |   +- again -+  added while it ran
 *              +- delayed <--+  `after`, or `backoff` with a growing wait
 *
 * A changed key goes before all that only wait for a resync, and of the slots some are kept for it.
 */
export function createWorkQueue(options: WorkQueueOptions): WorkQueue {
  const { concurrency, metrics, name } = options;
  const reserved = concurrency > 1 ? Math.max(1, Math.floor(concurrency / RESERVED_SHARE)) : 0;
  const queue: WorkRuns = {
    options,
    schedule: createWorkSchedule({
      backoff: options.backoff ?? DEFAULT_BACKOFF,
      waiting: () => schedulePump(queue),
      retried: () => metrics?.retried(name),
    }),
    running: new Set(),
    maxResync: concurrency - reserved,
    runningResync: 0,
    state: options.paused === true ? "paused" : "open",
    pumpScheduled: false,
    waiters: [],
  };
  return {
    start() {
      if (queue.state === "paused") queue.state = "open";
      schedulePump(queue);
    },
    add(key, priority) {
      if (queue.state === "ended") return;
      metrics?.added(name);
      addKey(queue.schedule, key, priority);
    },
    addAfter(key, ms, priority = "resync") {
      if (queue.state !== "ended") delayKey(queue.schedule, key, ms, priority);
    },
    depth: (priority) => depthOf(queue, priority),
    whenBelow: (limit) => when(queue, () => queue.state === "ended" || depthOf(queue) < limit),
    whenIdle: () => when(queue, () => queue.state === "ended" || (depthOf(queue) === 0 && queue.running.size === 0)),
    drain: (cutOff) => drain(queue, cutOff),
    snapshot: (now = performance.now()) => snapshotOf(queue, now),
    unhealthy(now) {
      const stuckMs = stuckFor(queue, now);
      if (stuckMs < STUCK_MS) return undefined;
      return `all runs of the queue ${name} ignore for ${Math.round(stuckMs / 1_000)} s that they were told to end`;
    },
    [Symbol.asyncDispose]: () => drain(queue, AbortSignal.abort()),
  };
}
