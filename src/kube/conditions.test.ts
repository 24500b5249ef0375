import { expect, test } from "vitest";
import type { WantedCondition } from "./conditions.ts";
import { mergeConditions } from "./conditions.ts";

const ready: WantedCondition = { type: "Ready", status: "True", reason: "Stored", message: "Stored." };
const stalled: WantedCondition = { type: "Stalled", status: "True", reason: "Invalid", message: "Edit it." };
const monday = new Date("2026-11-23T10:00:00.123Z");
const tuesday = new Date("2026-11-24T10:00:00.456Z");

test("a first condition gets the time in whole seconds, which is what the API server stores", () => {
  expect(mergeConditions(undefined, [ready], monday, 3)).toEqual([
    { ...ready, lastTransitionTime: "2026-11-23T10:00:00Z", observedGeneration: 3 },
  ]);
});

test("bad case 31: conditions that say the same are the same array, so that nothing is written", () => {
  const before = mergeConditions(undefined, [ready, stalled], monday, 3);
  expect(mergeConditions(before, [ready, stalled], tuesday, 3)).toBe(before);
});

test("bad case 31: a new reason or generation leaves the transition time; a new status moves it", () => {
  const before = mergeConditions(undefined, [ready], monday, 3);
  const [reworded] = mergeConditions(before, [{ ...ready, reason: "Rotated" }], tuesday, 4);
  expect(reworded).toMatchObject({
    reason: "Rotated",
    observedGeneration: 4,
    lastTransitionTime: "2026-11-23T10:00:00Z",
  });
  const [turned] = mergeConditions(before, [{ ...ready, status: "False" }], tuesday, 4);
  expect(turned).toMatchObject({ status: "False", lastTransitionTime: "2026-11-24T10:00:00Z" });
});

test("a condition that is not wanted goes, and comes back with a new time", () => {
  const both = mergeConditions(undefined, [ready, stalled], monday, 1);
  const one = mergeConditions(both, [ready], tuesday, 1);
  expect(one.map((condition) => condition.type)).toEqual(["Ready"]);
  expect(mergeConditions(one, [ready, stalled], tuesday, 1)[1]?.lastTransitionTime).toBe("2026-11-24T10:00:00Z");
});

test("the order is the wanted one, whatever was stored", () => {
  const before = mergeConditions(undefined, [stalled, ready], monday, 1);
  expect(mergeConditions(before, [ready, stalled], tuesday, 1).map((one) => one.type)).toEqual(["Ready", "Stalled"]);
});

test("an empty list stays what it was, absent or empty", () => {
  const empty = mergeConditions([], [], monday, 1);
  expect(empty).toEqual([]);
  expect(mergeConditions(empty, [], monday, 1)).toBe(empty);
});
