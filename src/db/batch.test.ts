import { setImmediate as nextTurn } from "node:timers/promises";
import * as fc from "fast-check";
import { expect, test } from "vitest";
import { KeysteadError } from "../errors.ts";
import { createBatcher } from "./batch.ts";

/** Longer than any test may take: whoever waits for it fails. */
const FOREVER_MS = 3_600_000;

test("callers of one moment share a run, and each gets its own result", async () => {
  const runs: number[][] = [];
  const double = createBatcher<number, number>({
    maxSize: 10,
    run: async (items) => {
      runs.push([...items]);
      return items.map((item) => item * 2);
    },
  });
  expect(await Promise.all([double(1), double(2), double(3)])).toEqual([2, 4, 6]);
  expect(runs).toEqual([[1, 2, 3]]);
});

test("while one batch is in flight the next collects, up to its limit", async () => {
  const runs: number[][] = [];
  const first = Promise.withResolvers<void>();
  const started = Promise.withResolvers<void>();
  const batch = createBatcher<number, true>({
    maxSize: 3,
    run: async (items) => {
      runs.push([...items]);
      started.resolve();
      if (runs.length === 1) await first.promise;
      return items.map(() => true);
    },
  });
  const answers = [batch(0)];
  await started.promise;
  answers.push(...[1, 2, 3, 4].map((item) => batch(item)));
  first.resolve();
  await Promise.all(answers);
  expect(runs).toEqual([[0], [1, 2, 3], [4]]);
});

test("an item that comes alone never waits for company", async () => {
  const batch = createBatcher<number, number>({ maxSize: 10, minIntervalMs: FOREVER_MS, run: async (items) => items });
  for (const item of [1, 2, 3]) expect(await batch(item)).toBe(item);
});

test("after a batch of several the next waits for the interval, unless it is full before", async () => {
  const runs: number[][] = [];
  const batch = createBatcher<number, number>({
    maxSize: 2,
    minIntervalMs: FOREVER_MS,
    run: async (items) => {
      runs.push([...items]);
      return items;
    },
  });
  await Promise.all([batch(1), batch(2)]);
  const waiting = batch(3);
  expect(await Promise.all([batch(4), waiting])).toEqual([4, 3]);
  expect(runs).toEqual([
    [1, 2],
    [3, 4],
  ]);
});

test("an item that cannot be handled fails alone: its neighbours are run again without it", async () => {
  const batch = createBatcher<string, string>({
    maxSize: 10,
    run: async (items) => {
      if (items.includes("bad")) throw new KeysteadError("database_value_refused", "bad");
      return items;
    },
  });
  const outcomes = await Promise.allSettled([batch("a"), batch("bad"), batch("b")]);
  expect(outcomes).toMatchObject([
    { status: "fulfilled", value: "a" },
    { status: "rejected", reason: { code: "database_value_refused" } },
    { status: "fulfilled", value: "b" },
  ]);
});

test("when the database is away all items fail at once, without asking it once for each", async () => {
  let runs = 0;
  const batch = createBatcher<number, number>({
    maxSize: 10,
    run: async () => {
      runs += 1;
      throw new KeysteadError("database_unavailable", "away");
    },
  });
  const outcomes = await Promise.allSettled([batch(1), batch(2), batch(3)]);
  expect(outcomes.map(({ status }) => status)).toEqual(["rejected", "rejected", "rejected"]);
  expect(runs).toBe(1);
});

test("a failed batch does not stop the next one", async () => {
  let isAway = true;
  const batch = createBatcher<number, number>({
    maxSize: 10,
    run: async (items) => {
      if (isAway) throw new KeysteadError("database_unavailable", "away");
      return items;
    },
  });
  await expect(batch(1)).rejects.toMatchObject({ code: "database_unavailable" });
  isAway = false;
  expect(await batch(2)).toBe(2);
});

test("a run that loses a result is an error for its callers, not a hang", async () => {
  const batch = createBatcher<number, number>({ maxSize: 10, run: async () => [] });
  await expect(batch(1)).rejects.toMatchObject({ code: "internal_error" });
});

test("with two runs in flight one that hangs stops nobody but its own callers", async () => {
  const hanging = Promise.withResolvers<readonly string[]>();
  const batch = createBatcher<string, string>({
    maxSize: 10,
    maxInFlight: 2,
    run: (items) => (items.includes("hangs") ? hanging.promise : Promise.resolve(items)),
  });
  const stuck = batch("hangs");
  await nextTurn();
  for (const item of ["a", "b", "c"]) expect(await batch(item)).toBe(item);
  hanging.resolve(["at last"]);
  expect(await stuck).toBe("at last");
});

test("a second run begins while a whole batch waits, and what is less comes together", async () => {
  const runs: number[][] = [];
  const open: (() => void)[] = [];
  const batch = createBatcher<number, number>({
    maxSize: 2,
    maxInFlight: 2,
    run: async (items) => {
      runs.push([...items]);
      await new Promise<void>((resolve) => open.push(resolve));
      return items;
    },
  });
  const answers = [0, 1, 2, 3, 4].map((item) => batch(item));
  await nextTurn();
  expect(runs).toEqual([
    [0, 1],
    [2, 3],
  ]);
  while (runs.length < 3 || open.length > 0) {
    open.shift()?.();
    await nextTurn();
  }
  expect(await Promise.all(answers)).toEqual([0, 1, 2, 3, 4]);
  expect(runs[2]).toEqual([4]);
});

test("a group that waits with many delays another by one item a turn", async () => {
  const runs: string[][] = [];
  const batch = createBatcher<string, string>({
    maxSize: 4,
    groupOf: ([group = ""]) => group,
    run: async (items) => {
      runs.push([...items]);
      return items;
    },
  });
  await Promise.all(["a1", "a2", "a3", "a4", "a5", "a6", "b1", "c1", "c2"].map((item) => batch(item)));
  expect(runs).toEqual([["a1", "b1", "c1", "a2"], ["c2", "a3", "a4", "a5"], ["a6"]]);
});

test("what nobody waits for any more when its turn comes is not run", async () => {
  const late = new Set<number>();
  const runs: number[][] = [];
  const batch = createBatcher<number, number>({
    maxSize: 2,
    isLate: (item) => late.has(item),
    run: async (items) => {
      runs.push([...items]);
      late.add(2).add(4).add(5);
      return items;
    },
  });
  const outcomes = await Promise.allSettled([0, 1, 2, 3, 4, 5].map((item) => batch(item)));
  expect(outcomes.map(({ status }) => status === "fulfilled")).toEqual([true, true, false, true, false, false]);
  expect(outcomes[2]).toMatchObject({ reason: { code: "database_timeout", retryable: true } });
  expect(runs).toEqual([[0, 1], [3]]);
});

test("however callers come, each gets the answer to its own item, and no run takes more than the limit", async () => {
  const arrivals = fc.array(fc.nat({ max: 3 }), { minLength: 1, maxLength: 40 });
  await fc.assert(
    fc.asyncProperty(arrivals, fc.integer({ min: 1, max: 7 }), async (turns, maxSize) => {
      const sizes: number[] = [];
      const batch = createBatcher<number, string>({
        maxSize,
        run: async (items) => {
          sizes.push(items.length);
          await nextTurn();
          return items.map(String);
        },
      });
      const answers: Promise<string>[] = [];
      for (const [item, turnsBefore] of turns.entries()) {
        for (let turn = 0; turn < turnsBefore; turn += 1) await nextTurn();
        answers.push(batch(item));
      }
      expect(await Promise.all(answers)).toEqual(turns.map((_, item) => String(item)));
      expect(Math.max(...sizes)).toBeLessThanOrEqual(maxSize);
      expect(sizes.reduce((sum, size) => sum + size, 0)).toBe(turns.length);
    }),
  );
});
