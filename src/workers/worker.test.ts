import { expect, test } from "vitest";
import { KeysteadError } from "../errors.ts";
import { pauseAfter, startWorker, type WorkerOptions } from "./worker.ts";

/** A worker whose turns follow one another at once, with what was told about them. */
function started(run: WorkerOptions["run"]) {
  const told = { success: 0, error: 0, warnings: 0, notes: 0 };
  const worker = startWorker({
    name: "tester",
    intervalMs: 1,
    firstWithinMs: 0,
    run,
    metrics: { started: () => (result) => void (told[result] += 1) },
    log: { warn: () => void (told.warnings += 1), info: () => void (told.notes += 1) },
  });
  return { told, [Symbol.asyncDispose]: () => worker[Symbol.asyncDispose]() };
}

test("a worker has one turn after the other until it is disposed, and none afterwards", async () => {
  let turns = 0;
  let atOnce = 0;
  const worker = started(async () => {
    atOnce += 1;
    expect(atOnce).toBe(1);
    await Promise.resolve();
    turns += 1;
    atOnce -= 1;
  });
  await expect.poll(() => turns, { interval: 1 }).toBeGreaterThan(3);
  await worker[Symbol.asyncDispose]();

  const atTheEnd = turns;
  await new Promise((resolve) => setTimeout(resolve, 10));
  expect(turns).toBe(atTheEnd);
  expect(worker.told).toMatchObject({ success: atTheEnd, error: 0 });
});

test("an outage is logged once when it begins and once when it ends, and every failure is counted", async () => {
  let away = true;
  await using worker = started(() =>
    away ? Promise.reject(new KeysteadError("database_unavailable", "it is away")) : Promise.resolve(),
  );
  await expect.poll(() => worker.told.error, { interval: 1 }).toBeGreaterThan(2);
  expect(worker.told).toMatchObject({ success: 0, warnings: 1, notes: 0 });
  away = false;
  await expect.poll(() => worker.told.success, { interval: 1 }).toBeGreaterThan(2);
  expect(worker.told).toMatchObject({ warnings: 1, notes: 1 });
});

test("a turn that is broken off by the end of the process is no failure, however it ends", async () => {
  const begun = Promise.withResolvers<void>();
  const worker = started(
    (signal) =>
      new Promise((_, reject) => {
        signal.addEventListener("abort", () => reject(signal.reason));
        begun.resolve();
      }),
  );
  await begun.promise;
  await worker[Symbol.asyncDispose]();
  expect(worker.told).toEqual({ success: 0, error: 0, warnings: 0, notes: 0 });
});

test.each([
  { failures: 0, ms: 300_000, why: "all is well" },
  { failures: 1, ms: 1_000, why: "most failures pass at once" },
  { failures: 5, ms: 16_000, why: "an outage goes on" },
  { failures: 40, ms: 300_000, why: "never less often than when all is well" },
])("after $failures failures in a row a worker waits $ms ms: $why", ({ failures, ms }) => {
  expect(pauseAfter(failures, 300_000)).toBe(ms);
});
