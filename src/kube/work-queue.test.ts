import * as fc from "fast-check";
import { expect, test } from "vitest";
import { eventually } from "../../test/support/eventually.ts";
import type { ObjectKey } from "./object.ts";
import { objectKey } from "./object.ts";
import { pauseFor } from "./pause.ts";
import type { Requeue, WorkQueueOptions } from "./work-queue.ts";
import { createWorkQueue } from "./work-queue.ts";

const done: Requeue = { kind: "done" };
const backoff: Requeue = { kind: "backoff" };
const key = (name: string) => objectKey("ns", name);

function queueOf(run: WorkQueueOptions["run"], more: Partial<WorkQueueOptions> = {}) {
  return createWorkQueue({ name: "test", concurrency: 1, run, ...more });
}

test("a key is never run twice at once, and always runs after it was added, whatever the runs do", async () => {
  type Step = { add: number; priority: "changed" | "resync" } | { addAfter: number } | { turns: number };
  const step: fc.Arbitrary<Step> = fc.oneof(
    {
      weight: 5,
      arbitrary: fc.record({ add: fc.nat(6), priority: fc.constantFrom("changed" as const, "resync" as const) }),
    },
    { weight: 1, arbitrary: fc.record({ addAfter: fc.nat(6) }) },
    { weight: 2, arbitrary: fc.record({ turns: fc.integer({ min: 1, max: 5 }) }) },
  );
  const endings = fc.infiniteStream(fc.constantFrom("done", "throw", "backoff", "after"));
  await fc.assert(
    fc.asyncProperty(
      fc.array(step, { maxLength: 60 }),
      fc.integer({ min: 1, max: 5 }),
      endings,
      async (steps, concurrency, stream) => {
        const running = new Set<ObjectKey>();
        const owed = new Set<ObjectKey>();
        const twice = new Set<ObjectKey>();
        let most = 0;
        let failuresLeft = 20;
        await using queue = queueOf(
          async (one) => {
            if (running.has(one)) twice.add(one);
            running.add(one);
            owed.delete(one);
            most = Math.max(most, running.size);
            await Promise.resolve();
            await Promise.resolve();
            running.delete(one);
            const ending = failuresLeft > 0 ? stream.next().value : "done";
            if (ending !== "done") failuresLeft -= 1;
            if (ending === "throw") throw new Error("failed");
            if (ending === "after") return { kind: "after", ms: 1 };
            return ending === "backoff" ? backoff : done;
          },
          { concurrency, backoff: { baseMs: 1, capMs: 2 } },
        );
        for (const one of steps) {
          if ("add" in one) {
            owed.add(key(String(one.add)));
            queue.add(key(String(one.add)), one.priority);
          } else if ("addAfter" in one) {
            owed.add(key(String(one.addAfter)));
            queue.addAfter(key(String(one.addAfter)), 1);
          } else {
            for (let turn = 0; turn < one.turns; turn += 1) await Promise.resolve();
          }
        }
        await eventually(() =>
          expect(queue.snapshot()).toMatchObject({ changed: 0, resync: 0, delayed: 0, running: 0 }),
        );
        expect([[...owed], [...twice]]).toEqual([[], []]);
        expect(most).toBeLessThanOrEqual(concurrency);
      },
    ),
    { numRuns: 60 },
  );
});

test("a key that is added many times while it waits runs once; added while it runs, it runs once more", async () => {
  const gate = Promise.withResolvers<void>();
  const runs: ObjectKey[] = [];
  await using queue = queueOf(async (one) => {
    runs.push(one);
    if (runs.length === 1) await gate.promise;
    return done;
  });
  for (let times = 0; times < 5; times += 1) queue.add(key("a"), "resync");
  await eventually(() => expect(runs).toHaveLength(1));
  for (let times = 0; times < 5; times += 1) queue.add(key("a"), "changed");
  gate.resolve();
  await queue.whenIdle();
  expect(runs).toHaveLength(2);
});

test("a changed object overtakes thousands that wait for a resync, also one that waits among them", async () => {
  const runs: ObjectKey[] = [];
  await using queue = queueOf(
    async (one) => {
      runs.push(one);
      return done;
    },
    { paused: true },
  );
  for (let index = 0; index < 5_000; index += 1) queue.add(key(`resync-${index}`), "resync");
  queue.add(key("new"), "changed");
  queue.add(key("resync-4999"), "changed");
  queue.start();
  await queue.whenIdle();
  expect(runs.slice(0, 2)).toEqual([key("new"), key("resync-4999")]);
  expect(new Set(runs).size).toBe(runs.length);
  expect(runs).toHaveLength(5_001);
});

test("bad case 24: when all resyncs are stuck in slow calls, a changed object still gets a slot", async () => {
  const stuck = Promise.withResolvers<void>();
  const runs: ObjectKey[] = [];
  await using queue = queueOf(
    async (one, _signal, { priority }) => {
      runs.push(one);
      if (priority === "resync") await stuck.promise;
      return done;
    },
    { concurrency: 4 },
  );
  for (let index = 0; index < 100; index += 1) queue.add(key(`slow-${index}`), "resync");
  await eventually(() => expect(runs).toHaveLength(3));
  queue.add(key("new"), "changed");
  await eventually(() => expect(runs).toContain(key("new")));
  stuck.resolve();
  await queue.whenIdle();
});

test("bad case 24: one object that conflicts for ever backs off by itself while the others go on", async () => {
  const runs = new Map<ObjectKey, number>();
  const waits: number[] = [];
  let failedAt = 0;
  await using queue = queueOf(
    async (one, _signal, { failures }) => {
      runs.set(one, (runs.get(one) ?? 0) + 1);
      if (one !== key("conflict")) return done;
      if (failures > 0) waits.push(performance.now() - failedAt);
      failedAt = performance.now();
      throw new Error("409");
    },
    { concurrency: 2, backoff: { baseMs: 4, capMs: 200 } },
  );
  queue.add(key("conflict"), "changed");
  await eventually(() => expect(waits.length).toBeGreaterThanOrEqual(6));
  for (let index = 0; index < 200; index += 1) queue.add(key(`fine-${index}`), "resync");
  await queue.whenBelow(1);
  await eventually(() => expect([...runs.keys()].filter((one) => one !== key("conflict"))).toHaveLength(200));
  // Half of 4 ms times 2^5 is the least that the sixth wait may be.
  expect(waits[5]).toBeGreaterThanOrEqual(63);
});

test("success forgets the failures before it", async () => {
  const seen: number[] = [];
  await using queue = queueOf(
    async (_one, _signal, { failures }) => {
      seen.push(failures);
      return seen.length === 3 || seen.length === 5 ? done : backoff;
    },
    { backoff: { baseMs: 1, capMs: 2 } },
  );
  queue.add(key("a"), "changed");
  await eventually(() => expect(seen).toEqual([0, 1, 2]));
  await queue.whenIdle();
  queue.add(key("a"), "changed");
  await eventually(() => expect(seen).toEqual([0, 1, 2, 0, 1]));
});

test("a failing object that keeps changing itself does not run hot", async () => {
  let runs = 0;
  await using queue = queueOf(
    async (one) => {
      runs += 1;
      // What a run that writes half of its work sees: its own write comes back as a change.
      queue.add(one, "changed");
      return backoff;
    },
    { backoff: { baseMs: 10, capMs: 100_000 } },
  );
  queue.add(key("a"), "changed");
  await eventually(() => expect(runs).toBeGreaterThan(3));
  expect(queue.snapshot()).toMatchObject({ delayed: 1, changed: 0 });
  expect(runs).toBeLessThan(20);
});

test("of several delays the earliest counts, and one timer serves them all", async () => {
  const runs: ObjectKey[] = [];
  await using queue = queueOf(async (one) => {
    runs.push(one);
    return done;
  });
  for (let index = 0; index < 1_000; index += 1) queue.addAfter(key(`far-${index}`), 60_000);
  queue.addAfter(key("near"), 60_000);
  queue.addAfter(key("near"), 10);
  queue.addAfter(key("near"), 30_000);
  const timers = process.getActiveResourcesInfo().filter((resource) => resource === "Timeout").length;
  expect(timers).toBeLessThan(10);
  await eventually(() => expect(runs).toEqual([key("near")]));
  expect(queue.snapshot().delayed).toBe(1_000);
});

test("a run forgets the delay that was set before it", async () => {
  let runs = 0;
  await using queue = queueOf(async () => {
    runs += 1;
    return done;
  });
  queue.addAfter(key("a"), 60_000);
  queue.add(key("a"), "changed");
  await queue.whenIdle();
  expect([runs, queue.snapshot().delayed]).toEqual([1, 0]);
});

test("a run that takes too long is told, and may be tried again", async () => {
  const reasons: unknown[] = [];
  await using queue = queueOf(
    async (_one, signal) => {
      if (reasons.length > 0) return done;
      await pauseFor(60_000, signal).catch((thrown: unknown) => reasons.push(thrown));
      return backoff;
    },
    { runTimeoutMs: 20, backoff: { baseMs: 1, capMs: 1 } },
  );
  queue.add(key("a"), "changed");
  await eventually(() => expect(reasons).toHaveLength(1));
  await queue.whenIdle();
  expect(reasons[0]).toMatchObject({ code: "kube_call_aborted", cause: { code: "kube_timeout" } });
});

test("draining lets runs end, begins no new ones, and aborts those that take too long", async () => {
  const started: ObjectKey[] = [];
  const ended: ObjectKey[] = [];
  const gate = Promise.withResolvers<void>();
  const queue = queueOf(
    async (one, signal) => {
      started.push(one);
      await (one === key("slow") ? pauseFor(60_000, signal).catch(() => undefined) : gate.promise);
      ended.push(one);
      return done;
    },
    { concurrency: 2 },
  );
  for (const name of ["slow", "fast", "waiting"]) queue.add(key(name), "changed");
  queue.addAfter(key("later"), 60_000);
  await eventually(() => expect(started).toHaveLength(2));
  const drained = queue.drain(AbortSignal.timeout(100));
  queue.add(key("too late"), "changed");
  gate.resolve();
  await drained;
  expect(started).toEqual([key("slow"), key("fast")]);
  expect(ended).toEqual([key("fast"), key("slow")]);
  expect(queue.snapshot()).toMatchObject({ changed: 0, delayed: 0, running: 0 });
});

test("a run that ignores its signal does not keep the process", async () => {
  const queue = queueOf(() => new Promise<Requeue>(() => undefined));
  queue.add(key("stuck"), "changed");
  await eventually(() => expect(queue.snapshot().running).toBe(1));
  await queue.drain(AbortSignal.timeout(10));
  expect(queue.snapshot().running).toBe(1);
});

test("a queue is unhealthy when every place is held by a run that ignores its signal, and not before", async () => {
  const gate = Promise.withResolvers<Requeue>();
  await using queue = queueOf(() => gate.promise, { concurrency: 2, runTimeoutMs: 1_000 });
  queue.add(key("stuck"), "changed");
  await eventually(() => expect(queue.snapshot().running).toBe(1));
  const hourLater = performance.now() + 3_600_000;
  expect(queue.unhealthy(hourLater), "one place is free").toBeUndefined();
  queue.add(key("stuck too"), "changed");
  await eventually(() => expect(queue.snapshot().running).toBe(2));
  expect(queue.unhealthy(performance.now() + 30_000), "they may be in a call that ends").toBeUndefined();
  expect(queue.unhealthy(hourLater)).toContain("ignore");
  gate.resolve(done);
  await queue.whenIdle();
  expect(queue.unhealthy(hourLater)).toBeUndefined();
});

test("feeders wait until the queue is shallow enough, and are let go when it ends", async () => {
  const gate = Promise.withResolvers<void>();
  const queue = queueOf(async () => {
    await gate.promise;
    return done;
  });
  for (let index = 0; index < 10; index += 1) queue.add(key(String(index)), "resync");
  const order: string[] = [];
  const feeder = queue.whenBelow(3).then(() => order.push(`shallow at ${queue.depth()}`));
  gate.resolve();
  await feeder;
  expect(order).toEqual(["shallow at 2"]);
  for (let index = 0; index < 10; index += 1) queue.add(key(String(index)), "resync");
  const waiting = queue.whenBelow(0);
  await queue.drain(AbortSignal.timeout(1_000));
  await waiting;
});

test("what a run throws is told with the count of failures", async () => {
  const told: unknown[] = [];
  await using queue = queueOf(
    async (_one, _signal, { failures }) => {
      if (failures === 2) return done;
      throw new Error(`failure ${failures}`);
    },
    {
      backoff: { baseMs: 1, capMs: 1 },
      failed: (one, thrown, failures) => void told.push([one, String(thrown), failures]),
    },
  );
  queue.add(key("a"), "changed");
  await eventually(() => expect(told).toHaveLength(2));
  expect(told).toEqual([
    [key("a"), "Error: failure 0", 1],
    [key("a"), "Error: failure 1", 2],
  ]);
});

test("adds, retries and runs are counted", async () => {
  const counted: string[] = [];
  await using queue = queueOf(async (_one, _signal, { failures }) => (failures === 0 ? backoff : done), {
    backoff: { baseMs: 1, capMs: 1 },
    metrics: {
      added: () => void counted.push("added"),
      retried: () => void counted.push("retried"),
      started: (_name, seconds) => void counted.push(seconds >= 0 ? "started" : "started early"),
      finished: () => void counted.push("finished"),
    },
  });
  queue.add(key("a"), "changed");
  queue.add(key("a"), "changed");
  await eventually(() => expect(counted.filter((one) => one === "finished")).toHaveLength(2));
  expect(counted).toEqual(["added", "added", "started", "finished", "retried", "started", "finished"]);
});
