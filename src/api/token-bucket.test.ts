import * as fc from "fast-check";
import { expect, test } from "vitest";
import { secondsUntil, take, type TokenBucket } from "./token-bucket.ts";

test("a bucket gives its burst at once, then as many as come in", () => {
  const bucket: TokenBucket = { tokens: 3, filledAt: 0 };
  const rate = { burst: 3, perSecond: 2 };
  const taken = (now: number) => Array.from({ length: 5 }, () => take(bucket, rate, now)).filter(Boolean).length;
  expect([taken(0), taken(499), taken(500), taken(1_000), taken(60_000)]).toEqual([3, 0, 1, 1, 3]);
});

test("a clock that steps back gives nothing and takes nothing", () => {
  const bucket: TokenBucket = { tokens: 1, filledAt: 10_000 };
  const rate = { burst: 1, perSecond: 1 };
  expect([take(bucket, rate, 5_000), take(bucket, rate, 10_000), take(bucket, rate, 11_000)]).toEqual([
    true,
    false,
    true,
  ]);
});

test("whatever the moments, no more is given than the burst and what came in", () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 50 }),
      fc.integer({ min: 1, max: 100 }),
      fc.array(fc.integer({ min: 0, max: 2_000 }), { maxLength: 200 }),
      (burst, perSecond, pauses) => {
        const bucket: TokenBucket = { tokens: burst, filledAt: 0 };
        let now = 0;
        let given = 0;
        for (const pause of pauses) {
          now += pause;
          if (take(bucket, { burst, perSecond }, now)) given += 1;
        }
        expect(given).toBeLessThanOrEqual(burst + (now / 1_000) * perSecond + 1e-6);
      },
    ),
  );
});

test("whoever is told to wait waits long enough, and at least a second", () => {
  const bucket: TokenBucket = { tokens: -4, filledAt: 0 };
  const rate = { burst: 10, perSecond: 2 };
  const seconds = secondsUntil(1, bucket, rate);
  expect(seconds).toBe(3);
  expect(take(bucket, rate, seconds * 1_000)).toBe(true);
  expect(secondsUntil(1, { tokens: 0.9, filledAt: 0 }, rate)).toBe(1);
});
