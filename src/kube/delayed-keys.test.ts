import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { createDelayedKeys } from "./delayed-keys.ts";

// The clock is the subject here, so it is the test's own.
beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

const HOUR = 60 * 60_000;

function keys() {
  const due: string[] = [];
  return { due, delayed: createDelayedKeys<string>((key) => void due.push(key)) };
}

test("keys come up at their times, earliest first, whatever the order they were set in", () => {
  const { due, delayed } = keys();
  delayed.set("late", 300);
  delayed.set("early", 100);
  delayed.set("middle", 200);
  vi.advanceTimersByTime(99);
  expect(due).toEqual([]);
  vi.advanceTimersByTime(1);
  expect(due).toEqual(["early"]);
  vi.advanceTimersByTime(200);
  expect(due).toEqual(["early", "middle", "late"]);
  expect(delayed.size).toBe(0);
});

test("any number of keys takes one timer", () => {
  const { delayed } = keys();
  for (let index = 0; index < 10_000; index += 1) delayed.set(String(index), 1_000 + index);
  expect(vi.getTimerCount()).toBe(1);
  delayed.clear();
  expect(vi.getTimerCount()).toBe(0);
});

test("a wait longer than a timer can hold is waited out in pieces", () => {
  const { due, delayed } = keys();
  delayed.set("in a month", 31 * 24 * HOUR);
  vi.advanceTimersByTime(31 * 24 * HOUR - 1);
  expect(due).toEqual([]);
  vi.advanceTimersByTime(1);
  expect(due).toEqual(["in a month"]);
});

test("an earlier time wins, a later one changes nothing, and a deleted key does not come up", () => {
  const { due, delayed } = keys();
  delayed.set("moved", 1_000);
  delayed.set("moved", 100);
  delayed.set("moved", 5_000);
  delayed.set("deleted", 50);
  delayed.delete("deleted");
  vi.advanceTimersByTime(100);
  expect(due).toEqual(["moved"]);
  vi.advanceTimersByTime(HOUR);
  expect(due).toEqual(["moved"]);
});

test("a key may be set again while it comes up", () => {
  const due: number[] = [];
  const delayed = createDelayedKeys<string>((key) => {
    due.push(performance.now());
    if (due.length < 3) delayed.set(key, 10);
  });
  delayed.set("again", 10);
  vi.advanceTimersByTime(100);
  expect(due).toHaveLength(3);
});

test("keys that are set over and over leave no pile behind", () => {
  const { due, delayed } = keys();
  for (let round = 0; round < 100_000; round += 1) {
    delayed.set("busy", HOUR);
    delayed.delete("busy");
  }
  delayed.set("busy", 10);
  vi.advanceTimersByTime(10);
  expect(due).toEqual(["busy"]);
});
