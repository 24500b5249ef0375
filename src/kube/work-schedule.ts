import { halfJitter } from "./backoff.ts";
import type { DelayedKeys } from "./delayed-keys.ts";
import { createDelayedKeys } from "./delayed-keys.ts";
import type { ObjectKey } from "./object.ts";
import type { WorkLines, WorkPriority } from "./work-lines.ts";
import { createWorkLines } from "./work-lines.ts";

/** What becomes of a key after a run. A run that throws counts as `backoff`. */
export type Requeue =
  | { readonly kind: "done" }
  /** Again after that time, with low priority. */
  | { readonly kind: "after"; readonly ms: number }
  /** Again after a time that doubles with every `backoff` in a row. */
  | { readonly kind: "backoff" };

/** A key between its first `add` and the run that leaves nothing to do. */
export interface WorkItem {
  readonly key: ObjectKey;
  /** Line it stands in; written by the lines alone. */
  waiting: WorkPriority | undefined;
  /** `performance.now()` of the moment it began to wait. */
  waitingSince: number;
  /** Priority of the run that is due later. */
  delayed: WorkPriority | undefined;
  running: boolean;
  /** Added while it ran. */
  again: WorkPriority | undefined;
  /** Runs in a row that asked for back-off. */
  failures: number;
}

/** Who is told of what happens to the keys. */
export interface WorkScheduleOptions {
  readonly backoff: { readonly baseMs: number; readonly capMs: number };
  /** A key began to wait. */
  waiting(): void;
  retried(): void;
}

/** Which key runs next, and when. Knows nothing of the runs themselves. */
export interface WorkSchedule {
  readonly items: Map<ObjectKey, WorkItem>;
  readonly lines: WorkLines<WorkItem>;
  readonly delayed: DelayedKeys<ObjectKey>;
  readonly options: WorkScheduleOptions;
}

/** So often a failing key keeps its priority. After that it is ill, and must not stand in the way of healthy ones. */
const FAILURES_IN_FRONT = 3;

/** A failing key that was added again while it ran waits no longer than this: the change may be the cure, or the run's own doing. */
const MAX_WAIT_WHEN_CHANGED_MS = 500;

/** Nothing waits yet. */
export function createWorkSchedule(options: WorkScheduleOptions): WorkSchedule {
  const schedule: WorkSchedule = {
    items: new Map(),
    lines: createWorkLines(),
    delayed: createDelayedKeys((key) => comeUp(schedule, key)),
    options,
  };
  return schedule;
}

/** The key waits for a run, or for one more if it runs just now. */
export function addKey(schedule: WorkSchedule, key: ObjectKey, priority: WorkPriority): void {
  const item = itemOf(schedule, key);
  if (!item.running) wait(schedule, item, priority);
  else if (item.again !== "changed") item.again = priority;
}

/** The key waits for a run after some time, if none of its runs comes earlier. */
export function delayKey(schedule: WorkSchedule, key: ObjectKey, ms: number, priority: WorkPriority): void {
  const item = itemOf(schedule, key);
  if (item.delayed !== "changed") item.delayed = priority;
  schedule.delayed.set(key, ms);
}

/** The next key to run, marked as running, with the priority it waited with. */
export function takeItem(schedule: WorkSchedule, resyncAllowed: boolean) {
  const taken = schedule.lines.take(resyncAllowed);
  if (taken === undefined) return undefined;
  const { item } = taken;
  item.running = true;
  // Every run decides anew when the next one is due.
  item.delayed = undefined;
  schedule.delayed.delete(item.key);
  return taken;
}

/** The run of an item ended. */
export function settleItem(schedule: WorkSchedule, item: WorkItem, requeue: Requeue, priority: WorkPriority): void {
  const { again } = item;
  item.running = false;
  item.again = undefined;
  item.failures = requeue.kind === "backoff" ? item.failures + 1 : 0;
  if (requeue.kind === "backoff") retry(schedule, item, priority, again);
  else if (again !== undefined) wait(schedule, item, again);
  else if (requeue.kind === "after") delayKey(schedule, item.key, requeue.ms, "resync");
  if (item.waiting === undefined && item.delayed === undefined && item.failures === 0) schedule.items.delete(item.key);
}

/** Forgets all keys that do not run. */
export function clearSchedule(schedule: WorkSchedule): void {
  schedule.delayed.clear();
  schedule.lines.clear();
}

function retry(schedule: WorkSchedule, item: WorkItem, priority: WorkPriority, again: WorkPriority | undefined): void {
  const { baseMs, capMs } = schedule.options.backoff;
  const ms = halfJitter(item.failures, baseMs, capMs);
  schedule.options.retried();
  const inFront = again === "changed" || (priority === "changed" && item.failures <= FAILURES_IN_FRONT);
  const waitMs = again === undefined ? ms : Math.min(ms, MAX_WAIT_WHEN_CHANGED_MS);
  delayKey(schedule, item.key, waitMs, inFront ? "changed" : "resync");
}

function wait(schedule: WorkSchedule, item: WorkItem, priority: WorkPriority): void {
  if (item.waiting === undefined) item.waitingSince = performance.now();
  schedule.lines.push(item, priority);
  schedule.options.waiting();
}

function comeUp(schedule: WorkSchedule, key: ObjectKey): void {
  const item = itemOf(schedule, key);
  const priority = item.delayed ?? "resync";
  item.delayed = undefined;
  addKey(schedule, key, priority);
}

function itemOf(schedule: WorkSchedule, key: ObjectKey): WorkItem {
  const known = schedule.items.get(key);
  if (known !== undefined) return known;
  const item: WorkItem = {
    key,
    waiting: undefined,
    waitingSince: 0,
    delayed: undefined,
    running: false,
    again: undefined,
    failures: 0,
  };
  schedule.items.set(key, item);
  return item;
}
