import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { objectKey } from "./object.ts";
import type { Requeue, WorkSchedule } from "./work-schedule.ts";
import { addKey, clearSchedule, createWorkSchedule, delayKey, settleItem, takeItem } from "./work-schedule.ts";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

const key = objectKey("ns", "a");
const done: Requeue = { kind: "done" };
const backoff: Requeue = { kind: "backoff" };

function schedule(): WorkSchedule {
  return createWorkSchedule({
    backoff: { baseMs: 10, capMs: 1_000 },
    waiting: () => undefined,
    retried: () => undefined,
  });
}

/** Takes what is next and ends its run; tells with what priority it waited. */
function runNext(of: WorkSchedule, requeue: Requeue): string | undefined {
  const taken = takeItem(of, true);
  if (taken !== undefined) settleItem(of, taken.item, requeue, taken.priority);
  return taken?.priority;
}

test("what is done is forgotten, so that a million objects leave nothing behind", () => {
  const of = schedule();
  addKey(of, key, "changed");
  expect(runNext(of, done)).toBe("changed");
  expect(of.items.size).toBe(0);
});

test("a key that runs is not taken again, and what was added meanwhile comes after", () => {
  const of = schedule();
  addKey(of, key, "resync");
  const taken = takeItem(of, true);
  addKey(of, key, "resync");
  addKey(of, key, "changed");
  addKey(of, key, "resync");
  expect(takeItem(of, true)).toBeUndefined();
  if (taken !== undefined) settleItem(of, taken.item, done, "resync");
  expect(runNext(of, done)).toBe("changed");
  expect(of.items.size).toBe(0);
});

test("a failing key waits longer each time, and loses its place in front when it keeps failing", () => {
  const of = schedule();
  addKey(of, key, "changed");
  const priorities: (string | undefined)[] = [];
  for (let failures = 0; failures < 5; failures += 1) {
    priorities.push(runNext(of, backoff));
    const bound = Math.min(1_000, 10 * 2 ** failures);
    vi.advanceTimersByTime(bound / 2 - 1);
    expect(of.lines.depth("changed") + of.lines.depth("resync")).toBe(0);
    vi.advanceTimersByTime(bound / 2 + 1);
    expect(of.lines.depth("changed") + of.lines.depth("resync")).toBe(1);
  }
  expect(priorities).toEqual(["changed", "changed", "changed", "changed", "resync"]);
});

test("a change ends the wait of a failing key at once", () => {
  const of = schedule();
  addKey(of, key, "resync");
  for (let failures = 0; failures < 5; failures += 1) {
    runNext(of, backoff);
    vi.advanceTimersByTime(1_000);
  }
  runNext(of, backoff);
  addKey(of, key, "changed");
  expect(runNext(of, done)).toBe("changed");
  vi.advanceTimersByTime(10_000);
  expect(takeItem(of, true)).toBeUndefined();
  expect(of.items.size).toBe(0);
});

test("'after' comes back with low priority, once", () => {
  const of = schedule();
  addKey(of, key, "changed");
  runNext(of, { kind: "after", ms: 5_000 });
  vi.advanceTimersByTime(4_999);
  expect(takeItem(of, true)).toBeUndefined();
  vi.advanceTimersByTime(1);
  expect(runNext(of, done)).toBe("resync");
  vi.advanceTimersByTime(10_000);
  expect(of.items.size).toBe(0);
});

test("a delay that comes up while the key runs means one more run", () => {
  const of = schedule();
  addKey(of, key, "changed");
  const taken = takeItem(of, true);
  delayKey(of, key, 10, "changed");
  vi.advanceTimersByTime(10);
  if (taken !== undefined) settleItem(of, taken.item, done, "changed");
  expect(runNext(of, done)).toBe("changed");
});

test("a cleared schedule gives nothing any more, now or later", () => {
  const of = schedule();
  addKey(of, key, "changed");
  delayKey(of, objectKey("ns", "b"), 10, "resync");
  clearSchedule(of);
  vi.advanceTimersByTime(1_000);
  expect(takeItem(of, true)).toBeUndefined();
});
