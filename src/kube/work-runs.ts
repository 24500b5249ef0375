import { KeysteadError } from "../errors.ts";
import type { ObjectKey } from "./object.ts";
import type { WorkPriority } from "./work-lines.ts";
import type { Requeue, WorkItem, WorkSchedule } from "./work-schedule.ts";
import { clearSchedule, settleItem, takeItem } from "./work-schedule.ts";

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

/** What is run for each key, and how many at once. */
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

const DEFAULT_RUN_TIMEOUT_MS = 2 * 60_000;

/** What runs get after their signal fired. One that ignores it must not keep the process. */
const ABORTED_RUN_MS = 1_000;

interface Run {
  readonly startedAt: number;
  readonly priority: WorkPriority;
  readonly stop: AbortController;
}

interface Waiter {
  holds(): boolean;
  resolve(): void;
}

/** A queue and its runs. */
export interface WorkRuns {
  readonly options: WorkQueueOptions;
  readonly schedule: WorkSchedule;
  readonly running: Set<Run>;
  /** Runs at one time that are not of changed keys. */
  readonly maxResync: number;
  runningResync: number;
  state: "paused" | "open" | "ended";
  pumpScheduled: boolean;
  waiters: Waiter[];
}

/** Keys that wait, without the delayed ones. */
export function depthOf({ schedule: { lines } }: WorkRuns, priority?: WorkPriority): number {
  return priority === undefined ? lines.depth("changed") + lines.depth("resync") : lines.depth(priority);
}

/** Begins what may begin, in a microtask: whoever adds keys, a watch handler above all, is not interrupted by the start of their runs. */
export function schedulePump(queue: WorkRuns): void {
  if (queue.pumpScheduled) return;
  queue.pumpScheduled = true;
  queueMicrotask(() => {
    queue.pumpScheduled = false;
    pump(queue);
  });
}

function pump(queue: WorkRuns): void {
  while (queue.state === "open" && queue.running.size < queue.options.concurrency) {
    const taken = takeItem(queue.schedule, queue.runningResync < queue.maxResync);
    if (taken === undefined) break;
    void execute(queue, taken.item, taken.priority);
  }
  wake(queue);
}

async function execute(queue: WorkRuns, item: WorkItem, priority: WorkPriority): Promise<void> {
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

/** Resolves as soon as the condition holds; it is looked at whenever a run begins or ends. */
export function when(queue: WorkRuns, holds: () => boolean): Promise<void> {
  if (holds()) return Promise.resolve();
  return new Promise((resolve) => {
    queue.waiters.push({ holds, resolve });
  });
}

function wake(queue: WorkRuns): void {
  if (queue.waiters.length === 0) return;
  const due = queue.waiters.filter((waiter) => waiter.holds());
  queue.waiters = queue.waiters.filter((waiter) => !due.includes(waiter));
  for (const waiter of due) waiter.resolve();
}

/** Ends the queue; see `WorkQueue`. */
export async function drain(queue: WorkRuns, cutOff: AbortSignal): Promise<void> {
  const { name } = queue.options;
  queue.state = "ended";
  clearSchedule(queue.schedule);
  wake(queue);
  await allEnded(queue, cutOff);
  for (const run of queue.running)
    run.stop.abort(new KeysteadError("kube_call_aborted", `The queue ${name} has ended`));
  await allEnded(queue, AbortSignal.timeout(ABORTED_RUN_MS));
}

/** Resolves when nothing runs any more, or when the signal fires. */
async function allEnded(queue: WorkRuns, cutOff: AbortSignal): Promise<void> {
  if (cutOff.aborted) return;
  const patience = Promise.withResolvers<void>();
  const giveUp = (): void => patience.resolve();
  cutOff.addEventListener("abort", giveUp, { once: true });
  await Promise.race([patience.promise, when(queue, () => queue.running.size === 0)]);
  cutOff.removeEventListener("abort", giveUp);
}

/** Milliseconds for which every place has been held by a run that should have ended; 0 while one place is free. */
export function stuckFor({ options, running }: WorkRuns, now: number): number {
  if (running.size < options.concurrency) return 0;
  const overdue = [...running].map((run) => now - run.startedAt - (options.runTimeoutMs ?? DEFAULT_RUN_TIMEOUT_MS));
  return Math.max(0, Math.min(...overdue));
}

/** For the gauges. */
export function snapshotOf(queue: WorkRuns, now: number): WorkQueueSnapshot {
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
