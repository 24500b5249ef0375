import * as fc from "fast-check";
import { expect, test } from "vitest";
import type { CallPriority } from "./call-slots.ts";
import { createCallSlots } from "./call-slots.ts";

const farAway = performance.now() + 60_000;

test("normal calls leave the reserved slots alone; urgent ones take any", async () => {
  const slots = createCallSlots(3, 1);
  const atOnce = (priority: CallPriority) => slots.acquire(priority, farAway) === undefined;
  expect([atOnce("normal"), atOnce("normal")]).toEqual([true, true]);
  const normal = slots.acquire("normal", farAway);
  expect(slots.waiting()).toBe(1);
  expect(atOnce("urgent")).toBe(true);
  const urgent = slots.acquire("urgent", farAway);
  expect(slots.waiting()).toBe(2);
  slots.release("urgent");
  await urgent;
  slots.release("normal");
  await normal;
});

test("those who wait go in order, all urgent ones first", async () => {
  const slots = createCallSlots(1, 0);
  const order: string[] = [];
  const go = async (name: string, priority: CallPriority): Promise<void> => {
    await slots.acquire(priority, farAway);
    order.push(name);
    await Promise.resolve();
    slots.release(priority);
  };
  const wanted: [string, CallPriority][] = [
    ["first", "normal"],
    ["n1", "normal"],
    ["n2", "normal"],
    ["u1", "urgent"],
    ["u2", "urgent"],
  ];
  await Promise.all(wanted.map(([name, priority]) => go(name, priority)));
  expect(order).toEqual(["first", "u1", "u2", "n1", "n2"]);
});

test("one who gives up, or runs out of time, takes no slot with him", async () => {
  const slots = createCallSlots(1, 0);
  expect(slots.acquire("normal", farAway)).toBeUndefined();
  const stop = new AbortController();
  const givenUp = slots.acquire("normal", farAway, stop.signal);
  const tooLate = slots.acquire("normal", performance.now() + 5);
  const patient = slots.acquire("normal", farAway);
  stop.abort(new Error("enough"));
  await expect(givenUp).rejects.toMatchObject({ code: "kube_call_aborted" });
  await expect(tooLate).rejects.toMatchObject({ code: "kube_timeout" });
  slots.release("normal");
  await patient;
  slots.release("normal");
  expect(slots.acquire("normal", farAway)).toBeUndefined();
});

test("a signal that fired before keeps the call from waiting at all", async () => {
  const slots = createCallSlots(1, 0);
  await expect(slots.acquire("normal", farAway, AbortSignal.abort())).rejects.toMatchObject({
    code: "kube_call_aborted",
  });
  expect(slots.acquire("normal", farAway)).toBeUndefined();
});

test("whoever comes, goes and gives up: never more than allowed run, and nobody waits while there is room", async () => {
  type Step = { come: CallPriority } | { go: number } | { giveUp: number };
  const step: fc.Arbitrary<Step> = fc.oneof(
    { weight: 3, arbitrary: fc.record({ come: fc.constantFrom<CallPriority>("urgent", "normal") }) },
    { weight: 3, arbitrary: fc.record({ go: fc.nat() }) },
    { weight: 1, arbitrary: fc.record({ giveUp: fc.nat() }) },
  );
  await fc.assert(
    fc.asyncProperty(fc.array(step), fc.integer({ min: 1, max: 4 }), async (steps, total) => {
      const reserved = total > 1 ? 1 : 0;
      const slots = createCallSlots(total, reserved);
      const running: CallPriority[] = [];
      const waiting = new Set<{ readonly priority: CallPriority; readonly stop: AbortController }>();
      const come = (priority: CallPriority): void => {
        const one = { priority, stop: new AbortController() };
        const turn = slots.acquire(priority, farAway, one.stop.signal);
        if (turn === undefined) return void running.push(priority);
        waiting.add(one);
        turn
          .then(
            () => running.push(priority),
            () => undefined,
          )
          .finally(() => waiting.delete(one));
      };
      for (const one of steps) {
        if ("come" in one) come(one.come);
        else if ("giveUp" in one) [...waiting][one.giveUp % (waiting.size || 1)]?.stop.abort();
        else {
          const [gone] = running.splice(one.go % (running.length || 1), 1);
          if (gone !== undefined) slots.release(gone);
        }
        await new Promise((resolve) => setImmediate(resolve));
        const normal = running.filter((priority) => priority === "normal").length;
        expect(running.length).toBeLessThanOrEqual(total);
        expect(normal).toBeLessThanOrEqual(total - reserved);
        const waits = new Set([...waiting].map(({ priority }) => priority));
        if (waits.has("urgent")) expect(running.length).toBe(total);
        if (waits.has("normal")) expect(running.length === total || normal === total - reserved).toBe(true);
      }
    }),
  );
});
