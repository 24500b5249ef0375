import * as fc from "fast-check";
import { expect, test } from "vitest";
import { createDeadlineHeap } from "./deadline-heap.ts";

type Step = { do: "set"; key: number; at: number } | { do: "delete"; key: number } | { do: "take"; now: number };

test("keys come up in the order of their times, each at the earliest it was set to", () => {
  const step: fc.Arbitrary<Step> = fc.oneof(
    fc.record({ do: fc.constant("set" as const), key: fc.nat(30), at: fc.nat(1_000) }),
    fc.record({ do: fc.constant("delete" as const), key: fc.nat(30) }),
    fc.record({ do: fc.constant("take" as const), now: fc.nat(1_000) }),
  );
  fc.assert(
    fc.property(fc.array(step, { maxLength: 400 }), (steps) => {
      const heap = createDeadlineHeap<number>();
      const model = new Map<number, number>();
      for (const one of steps) {
        if (one.do === "set") {
          heap.set(one.key, one.at);
          model.set(one.key, Math.min(model.get(one.key) ?? Infinity, one.at));
        } else if (one.do === "delete") {
          heap.delete(one.key);
          model.delete(one.key);
        } else {
          const earliest = Math.min(...model.values());
          const key = heap.takeDue(one.now);
          if (earliest > one.now) expect(key).toBeUndefined();
          else expect(model.get(key ?? -1)).toBe(earliest);
          if (key !== undefined) model.delete(key);
        }
        expect(heap.size).toBe(model.size);
        expect(heap.nextAt() ?? Infinity).toBe(Math.min(...model.values()));
      }
    }),
  );
});
