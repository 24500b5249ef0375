import { expect, test } from "vitest";
import { linearScale, logScale } from "./scale.ts";

const PIXELS = { from: 100, to: 500 };

test("a linear axis goes from 0 to a round number in steps that people count in", () => {
  expect(linearScale(8_013, PIXELS).ticks).toEqual([0, 2_000, 4_000, 6_000, 8_000, 10_000]);
  expect(linearScale(10_000, PIXELS).ticks).toEqual([0, 2_500, 5_000, 7_500, 10_000]);
  expect(linearScale(430, PIXELS).ticks).toEqual([0, 100, 200, 300, 400, 500]);
});

test("values of a linear axis are placed by their share of it", () => {
  const { place } = linearScale(10_000, PIXELS);
  expect([0, 2_500, 10_000].map(place)).toEqual([100, 200, 500]);
});

test("a logarithmic axis has whole decades around all values", () => {
  expect(logScale(0.7, 140, PIXELS).ticks).toEqual([0.1, 1, 10, 100, 1_000]);
  expect(logScale(1, 100, PIXELS).ticks).toEqual([1, 10, 100]);
});

test("values that are all the same still have a decade", () => {
  expect(logScale(10, 10, PIXELS).ticks).toEqual([10, 100]);
});

test("each decade of a logarithmic axis is equally long, and y may grow downwards", () => {
  const { place } = logScale(1, 100, { from: 300, to: 100 });
  expect([1, 10, 100].map(place)).toEqual([300, 200, 100]);
});
