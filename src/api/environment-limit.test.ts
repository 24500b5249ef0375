import * as fc from "fast-check";
import { expect, test } from "vitest";
import { admit, type EnvironmentLimit, newEnvironmentLimit, renew, takeBack, takeIn } from "./environment-limit.ts";

const limitsOf = (requestsPerMinute: number, allowedCidrs?: readonly string[]) => ({
  environmentId: "e",
  requestsPerMinute,
  allowedCidrs,
});

const newLimit = (requestsPerMinute: number) => newEnvironmentLimit(limitsOf(requestsPerMinute), 0);

/** How many of so many requests at one moment are let in. */
function admitted(limit: EnvironmentLimit, requests: number, now: number): number {
  return Array.from({ length: requests }, () => admit(limit, "192.0.2.1", now)).filter(
    ({ kind }) => kind === "admitted",
  ).length;
}

test("a tenth of what a minute allows may come at once, then a sixtieth each second", () => {
  const limit = newLimit(600);
  expect([0, 99, 100, 1_000, 7_000].map((now) => admitted(limit, 1_000, now))).toEqual([60, 0, 1, 9, 60]);
});

test("a minute of requests without a pause lets in exactly what the limit and its burst are", () => {
  const limit = newLimit(600);
  let all = 0;
  for (let now = 0; now <= 60_000; now += 10) all += admitted(limit, 1, now);
  expect(all).toBe(660);
});

test("one request a minute is a limit as well", () => {
  const limit = newLimit(1);
  expect([0, 59_999, 60_000].map((now) => admitted(limit, 2, now))).toEqual([1, 0, 1]);
});

test("without a limit everything is let in, and nothing is counted", () => {
  const limit = newLimit(0);
  expect(admitted(limit, 10_000, 0)).toBe(10_000);
  expect(limit.admitted).toBe(0);
  expect(admit(limit, "192.0.2.1", 0)).toEqual({ kind: "admitted", quota: undefined });
});

test("a request that is taken back counts for nothing, at its replica and at the others", () => {
  const [limit, other] = [newLimit(600), newLimit(600)];
  admitted(limit, 60, 0);
  const told = { counterId: "c", admitted: 60, tokens: 0, ageSeconds: 0 };
  takeIn(other, { ...other.limits, others: [told] }, 0, 0);
  expect(admitted(other, 60, 0)).toBe(0);
  for (let one = 0; one < 20; one += 1) takeBack(limit);
  expect(admitted(limit, 60, 0)).toBe(20);
  takeBack(limit);
  takeIn(other, { ...other.limits, others: [{ ...told, admitted: limit.admitted }] }, 0, 0);
  expect([limit.admitted, admitted(other, 60, 0)]).toEqual([59, 1]);
});

test("the answer says what is left and when all of it is back", () => {
  const limit = newLimit(600);
  admitted(limit, 29, 0);
  const quota = { perMinute: 600, burst: 60, remaining: 30, wholeInSeconds: 3 };
  expect(admit(limit, "192.0.2.1", 0)).toEqual({ kind: "admitted", quota });
  admitted(limit, 30, 0);
  expect(admit(limit, "192.0.2.1", 0)).toEqual({
    kind: "exhausted",
    quota: { ...quota, remaining: 0, wholeInSeconds: 6 },
    retryAfterSeconds: 1,
  });
});

test("an edited limit holds from then on, upwards, downwards, on and off", () => {
  const limit = newLimit(600);
  admitted(limit, 60, 0);
  renew(limit, limitsOf(60), 0);
  expect(admitted(limit, 100, 1_000)).toBe(1);
  renew(limit, limitsOf(6_000), 1_000);
  expect(admitted(limit, 1_000, 2_000)).toBe(100);
  renew(limit, limitsOf(0), 2_000);
  expect(admitted(limit, 1_000, 2_000)).toBe(1_000);
  renew(limit, limitsOf(100), 2_000);
  expect(admitted(limit, 1_000, 2_000)).toBe(10);
});

test("a request from elsewhere is not let in, until its block is allowed", () => {
  const limit = newEnvironmentLimit(limitsOf(600, ["10.0.0.0/8"]), 0);
  expect(admit(limit, "10.1.1.1", 0).kind).toBe("admitted");
  expect(admit(limit, "192.0.2.1", 0)).toEqual({ kind: "elsewhere" });
  expect(limit.admitted, "it counts for nothing").toBe(1);
  renew(limit, limitsOf(600, ["10.0.0.0/8", "192.0.2.0/24"]), 0);
  expect(admit(limit, "192.0.2.1", 0).kind).toBe("admitted");
});

interface Replica {
  readonly limit: EnvironmentLimit;
  askedAt: number;
  /** As the database has it. */
  told: { admitted: number; tokens: number; at: number } | undefined;
}

/** Replicas that are asked as often as `demand` says each tenth of a second, and exchange their counts once a second. */
function simulate(requestsPerMinute: number, demand: readonly (readonly number[])[]): number[] {
  const replicas: Replica[] = (demand[0] ?? []).map(() => ({
    limit: newLimit(requestsPerMinute),
    askedAt: -1,
    told: undefined,
  }));
  let all = 0;
  return demand.map((asked, step) => {
    const now = step * 100;
    for (const [index, replica] of replicas.entries()) {
      all += admitted(replica.limit, asked[index] ?? 0, now);
      // Not all at the same moment.
      if (step % 10 === (3 * index) % 10 && replica.limit.usedAt > replica.askedAt) exchange(replicas, replica, now);
    }
    return all;
  });
}

function exchange(replicas: readonly Replica[], replica: Replica, now: number): void {
  const { limit } = replica;
  replica.askedAt = now;
  replica.told = { admitted: limit.admitted, tokens: limit.bucket.tokens, at: now };
  const others = replicas.flatMap((other, index) =>
    other === replica || !other.told
      ? []
      : [{ counterId: String(index), ageSeconds: (now - other.told.at) / 1_000, ...other.told }],
  );
  takeIn(limit, { ...limit.limits, others }, limit.admitted, now);
}

test.each([
  ["two under even load", [20, 20]],
  ["two under uneven load", [20, 5]],
  ["three", [10, 10, 10]],
  ["two of which one is hardly asked", [20, 1]],
])("replicas keep one limit together within a tenth: %s", (_case, each) => {
  const given = simulate(
    6_00,
    Array.from({ length: 1_801 }, () => each),
  );
  const within = (minutes: number) => (given[minutes * 600] ?? 0) / (minutes * 600 + 60);
  for (const minutes of [1, 2, 3]) {
    expect(within(minutes)).toBeGreaterThan(0.9);
    expect(within(minutes)).toBeLessThan(1.1);
  }
});

test("a replica that is asked now and then does not bring a burst of its own each time", () => {
  const steps = Array.from({ length: 1_801 }, (_, step) => [20, step % 150 < 12 ? 20 : 0]);
  const given = simulate(600, steps);
  expect((given[1_800] ?? 0) / (1_800 + 60)).toBeLessThan(1.1);
});

test("whatever the load, replicas below the limit refuse nothing once they know of each other", () => {
  fc.assert(
    fc.property(fc.array(fc.constantFrom(0, 1), { minLength: 600, maxLength: 600 }), (turns) => {
      // One request each tenth of a second, at either replica: exactly the limit.
      const steps = turns.map((turn) => [turn, 1 - turn]);
      expect(simulate(660, steps).at(-1)).toBe(600);
    }),
    { numRuns: 50 },
  );
});
