import { expect, test } from "vitest";
import { inBatches, nextSize } from "./paced-batches.ts";

/** A table of rows 1 to `rows`, and how it was gone through. */
function rowsUpTo(rows: number) {
  const seen: number[] = [];
  const batch = async (size: number, after = 0) => {
    const taken = Array.from({ length: Math.min(size, rows - after) }, (_, n) => after + n + 1);
    seen.push(...taken);
    return { count: taken.length, last: taken.at(-1) };
  };
  return { seen, batch };
}

test("every row is met once, in batches that go on where the one before ended", async () => {
  const { seen, batch } = rowsUpTo(5_432);
  expect(await inBatches({ signal: new AbortController().signal, share: 1 }, batch)).toBe(true);
  expect(seen).toEqual(Array.from({ length: 5_432 }, (_, n) => n + 1));
});

test("a signal ends it after the batch under way", async () => {
  const stop = new AbortController();
  const { seen, batch } = rowsUpTo(5_432);
  const stopping = async (size: number, after?: number) => {
    const done = await batch(size, after);
    if (seen.length > 300) stop.abort();
    return done;
  };
  expect(await inBatches({ signal: stop.signal, share: 0.5 }, stopping)).toBe(false);
  expect(seen.length).toBeGreaterThan(300);
  expect(seen.length).toBeLessThan(5_432);
});

test("nothing is begun after the signal", async () => {
  const { seen, batch } = rowsUpTo(10);
  expect(await inBatches({ signal: AbortSignal.abort(), share: 1 }, batch)).toBe(false);
  expect(seen).toEqual([]);
});

test.each([
  { size: 100, tookMs: 10, next: 100, why: "it took what it should" },
  { size: 100, tookMs: 1, next: 200, why: "a fast one says little about one twice as large" },
  { size: 1_000, tookMs: 10, next: 1_000, why: "there is a largest size" },
  { size: 1_000, tookMs: 100, next: 100, why: "a slow one is cut at once" },
  { size: 100, tookMs: 5_000, next: 50, why: "where every transaction is slow, few rows make none faster" },
  { size: 100, tookMs: 0, next: 200, why: "a clock may stand still" },
])("after $size rows in $tookMs ms the next batch has $next: $why", ({ size, tookMs, next }) => {
  expect(nextSize(size, tookMs)).toBe(next);
});

test("rows that may each be slow are taken one by one where they are", () => {
  expect([nextSize(10, 5_000, 1), nextSize(1, 100, 1)]).toEqual([1, 1]);
});
