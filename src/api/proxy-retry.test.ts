import { expect, test } from "vitest";
import { isTemporary, pauseBefore } from "./proxy-retry.ts";

const now = Date.parse("2026-11-24T07:00:00Z");

const pause = (failures: number, random: number) => pauseBefore(failures, undefined, { now, random });

test("pauses double from half a second to half a minute, each spread over its second half", () => {
  expect([1, 2, 3, 4, 5, 6, 7, 8].map((failures) => pause(failures, 1))).toEqual([
    500, 1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000,
  ]);
  expect(pause(3, 0)).toBe(1_000);
});

test.each<[retryAfter: string, pause: number | undefined]>([
  ["7", 7_000],
  ["0", 500],
  ["60", 60_000],
  ["61", undefined],
  ["999999999", undefined],
  ["Tue, 24 Nov 2026 07:00:30 GMT", 30_000],
  ["Tue, 24 Nov 2026 06:00:00 GMT", 500],
  ["Tue, 24 Nov 2026 09:00:00 GMT", undefined],
  ["soon", 500],
  ["-1", 500],
])("Retry-After: %s is kept", (retryAfter, expected) => {
  expect(pauseBefore(1, retryAfter, { now, random: 1 })).toBe(expected);
});

test("what is temporary by itself is tried again, and what the caller names", () => {
  const none = new Set<number>();
  expect([200, 304, 400, 401, 404, 409, 501].filter((status) => isTemporary(status, none))).toEqual([]);
  expect([429, 500, 502, 503, 504].filter((status) => isTemporary(status, none))).toHaveLength(5);
  expect(isTemporary(409, new Set([409]))).toBe(true);
});
