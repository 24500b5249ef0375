import { expect, test } from "vitest";
import { fullJitter, halfJitter } from "./backoff.ts";

test("the bound doubles with each failure up to the cap, and stays there however many follow", () => {
  const bounds = [1, 2, 3, 4, 5, 100, 10_000].map((failures) => fullJitter(failures, 100, 1_000, () => 1));
  expect(bounds).toEqual([100, 200, 400, 800, 1_000, 1_000, 1_000]);
});

test("full jitter reaches down to nothing, half jitter to half of the bound", () => {
  expect([fullJitter(3, 100, 1_000, () => 0), halfJitter(3, 100, 1_000, () => 0)]).toEqual([0, 200]);
  expect(halfJitter(3, 100, 1_000, () => 1)).toBe(400);
});
