import { KeysteadError } from "../errors.ts";
import type { ObjectKey } from "./object.ts";
import type { WorkPriority } from "./work-lines.ts";
import type { Requeue, WorkItem, WorkSchedule } from "./work-schedule.ts";
import { addKey, clearSchedule, createWorkSchedule, delayKey, settleItem, takeItem } from "./work-schedule.ts";

export type { Requeue, WorkPriority };

/** What is worth counting about a queue, as controller-runtime's `workqueue_*`. */
export interface WorkQueueMetrics {
  added(queue: string): void;
  retried(queue: string): void;
  started(queue: string, queuedSeconds: number): void;
  finished(queue: string, workedSeconds: number): void;
}

/** State at a moment, for the gauges that are read when somebody scrapes. */
export interface WorkQueueSnapshot {
  readonly changed: number;
  readonly resync: number;
  readonly delayed: number;
  readonly running: number;
  /** Sum over the runs that have not ended. */
  readonly unfinishedSeconds: number;
  readonly longestRunSeconds: number;
}

/** What a run is told beside its key. */
export interface WorkTurn {
  readonly priority: WorkPriority;
  /** Runs of this key in a row, just before, that asked for back-off. */
  readonly failures: number;
}

export interface WorkQueueOptions {
  readonly name: string;
  /** Runs at one time. */
  readonly concurrency: number;
  /** `signal` fires when the run takes longer than allowed, or when the queue ends. */
  run(key: ObjectKey, signal: AbortSignal, turn: WorkTurn): Promise<Requeue>;
  /** Time until a run's signal fires; 2 minutes by default. A run that ignores it keeps its slot and its key. */
  readonly runTimeoutMs?: number;
  /** 5 ms to 5 min by default. */
  readonly backoff?: { readonly baseMs: number; readonly capMs: number };
  /** Runs begin only with `start()`; keys can be added before. */
  readonly paused?: boolean;
  readonly metrics?: WorkQueueMetrics | undefined;
  /** Told of what a run threw; `failures` includes this one. Must not throw. */
  failed?(key: ObjectKey, thrown: unknown, failures: number): void;
}

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
  /** Ends the queue: nothing is accepted or begun any more; runs get `deadlineMs` (7 s) to end, then their signals fire. */
  drain(deadlineMs?: number): Promise<void>;
  snapshot(now?: number): WorkQueueSnapshot;
}

const DEFAULT_BACKOFF = { baseMs: 5, capMs: 5 * 60_000 };
const DEFAULT_RUN_TIMEOUT_MS = 2 * 60_000;

/** Of the ten seconds in which a process has to end. */
const DEFAULT_DRAIN_MS = 7_000;
/** What runs get after their signal fired. One that ignores it must not keep the process. */
const ABORTED_RUN_MS = 1_000;

/** Of the slots, those that only changed keys get: one in eight, at least one, unless there is only one. */
const RESERVED_SHARE = 8;

interface Run {
  readonly startedAt: number;
  readonly priority: WorkPriority;
  readonly stop: AbortController;
}

interface Waiter {
  holds(): boolean;
  resolve(): void;
}

interface Queue {
  readonly options: WorkQueueOptions;
  readonly schedule: WorkSchedule;
  readonly running: Set<Run>;
  readonly maxResync: number;
  runningResync: number;
  state: "paused" | "open" | "ended";
  pumpScheduled: boolean;
  waiters: Waiter[];
}

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
  const queue: Queue = {
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
    drain: (deadlineMs = DEFAULT_DRAIN_MS) => drain(queue, deadlineMs),
    snapshot: (now = performance.now()) => snapshotOf(queue, now),
    [Symbol.asyncDispose]: () => drain(queue, DEFAULT_DRAIN_MS),
  };
}

function depthOf({ schedule: { lines } }: Queue, priority?: WorkPriority): number {
  return priority === undefined ? lines.depth("changed") + lines.depth("resync") : lines.depth(priority);
}

/** In a microtask: whoever adds keys, a watch handler above all, is not interrupted by the start of their runs. */
function schedulePump(queue: Queue): void {
  if (queue.pumpScheduled) return;
  queue.pumpScheduled = true;
  queueMicrotask(() => {
    queue.pumpScheduled = false;
    pump(queue);
  });
}

function pump(queue: Queue): void {
  while (queue.state === "open" && queue.running.size < queue.options.concurrency) {
    const taken = takeItem(queue.schedule, queue.runningResync < queue.maxResync);
    if (taken === undefined) break;
    void execute(queue, taken.item, taken.priority);
  }
  wake(queue);
}

async function execute(queue: Queue, item: WorkItem, priority: WorkPriority): Promise<void> {
  const { name, metrics, runTimeoutMs = DEFAULT_RUN_TIMEOUT_MS } = queue.options;
  const stop = new AbortController();
  const run: Run = { startedAt: performance.now(), priority, stop };
  queue.running.add(run);
  if (priority === "resync") queue.runningResync += 1;
  metrics?.started(name, (run.startedAt - item.waitingSince) / 1_000);
  const timer = setTimeout(() => stop.abort(tookTooLong(name, item.key)), runTimeoutMs);
  let requeue: Requeue = { kind: "backoff" };
  try {
    requeue = await queue.options.run(item.key, stop.signal, { priority, failures: item.failures });
  } catch (thrown) {
    queue.options.failed?.(item.key, thrown, item.failures + 1);
  } finally {
    clearTimeout(timer);
    queue.running.delete(run);
    if (priority === "resync") queue.runningResync -= 1;
    metrics?.finished(name, (performance.now() - run.startedAt) / 1_000);
    if (queue.state !== "ended") settleItem(queue.schedule, item, requeue, priority);
    schedulePump(queue);
  }
}

function when(queue: Queue, holds: () => boolean): Promise<void> {
  if (holds()) return Promise.resolve();
  return new Promise((resolve) => {
    queue.waiters.push({ holds, resolve });
  });
}

function wake(queue: Queue): void {
  if (queue.waiters.length === 0) return;
  const due = queue.waiters.filter((waiter) => waiter.holds());
  queue.waiters = queue.waiters.filter((waiter) => !due.includes(waiter));
  for (const waiter of due) waiter.resolve();
}

async function drain(queue: Queue, deadlineMs: number): Promise<void> {
  const { name } = queue.options;
  queue.state = "ended";
  clearSchedule(queue.schedule);
  wake(queue);
  await allEnded(queue, deadlineMs);
  for (const run of queue.running)
    run.stop.abort(new KeysteadError("kube_call_aborted", `The queue ${name} has ended`));
  await allEnded(queue, ABORTED_RUN_MS);
}

/** Resolves when nothing runs any more, or after the time. */
async function allEnded(queue: Queue, ms: number): Promise<void> {
  const patience = Promise.withResolvers<void>();
  const timer = setTimeout(patience.resolve, ms);
  await Promise.race([patience.promise, when(queue, () => queue.running.size === 0)]);
  clearTimeout(timer);
}

function snapshotOf(queue: Queue, now: number): WorkQueueSnapshot {
  const seconds = [...queue.running].map((run) => (now - run.startedAt) / 1_000);
  return {
    changed: depthOf(queue, "changed"),
    resync: depthOf(queue, "resync"),
    delayed: queue.schedule.delayed.size,
    running: queue.running.size,
    unfinishedSeconds: seconds.reduce((sum, one) => sum + one, 0),
    longestRunSeconds: Math.max(0, ...seconds),
  };
}

function tookTooLong(name: string, key: ObjectKey): KeysteadError {
  return new KeysteadError("kube_timeout", `A run of the queue ${name} for ${key} took too long and was given up`);
}
