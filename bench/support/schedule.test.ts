import { expect, test } from "vitest";
import { quantile } from "./measure.ts";
import { createSchedule, latencyOf } from "./schedule.ts";

test("requests are due at their rate from the start, however late they are taken", () => {
  const nextDueAt = createSchedule(5_000, 400);
  expect(Array.from({ length: 5 }, nextDueAt)).toEqual([5_000, 5_002.5, 5_005, 5_007.5, 5_010]);
});

test("a rate that divides no second does not drift", () => {
  const nextDueAt = createSchedule(0, 3);
  expect(Array.from({ length: 3_001 }, nextDueAt).at(-1)).toBe(1_000_000);
});

test("a request that is sent late has waited since it was due, one that is sent early since it was sent", () => {
  expect(latencyOf({ dueAt: 100, sentAt: 130, answeredAt: 132 })).toBe(32);
  expect(latencyOf({ dueAt: 100, sentAt: 99.5, answeredAt: 102 })).toBe(2.5);
});

test("a server that stands still for 100 ms of a second is seen by the tenth of the requests due meanwhile, not by one", () => {
  const nextDueAt = createSchedule(0, 1_000);
  const latencies = Array.from({ length: 1_000 }, () => {
    const dueAt = nextDueAt();
    // One client, and each answer takes no time once the server goes on.
    const sentAt = dueAt === 0 ? 0 : Math.max(dueAt, 100);
    return latencyOf({ dueAt, sentAt, answeredAt: Math.max(dueAt, 100) });
  });
  expect(quantile(latencies, 0.5)).toBe(0);
  expect(quantile(latencies, 0.95)).toBe(50);
  expect(quantile(latencies, 0.99)).toBe(90);
});
