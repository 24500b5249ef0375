import { expect, test } from "vitest";
import { latencyPlot } from "./latency-plot.ts";

const POINTS = [
  { perSecond: 1_000, p50: 1, p99: 4 },
  { perSecond: 5_000, p50: 2, p99: 10 },
  { perSecond: 10_000, p50: 30, p99: 100 },
];

const PLOT = latencyPlot("Latency", POINTS, { label: "the limit", perSecond: 5_000, milliseconds: 10 });

test("a plot of latency says its rates, its units and the names of its lines in words", () => {
  for (const words of [">2,500<", ">10,000<", ">requests a second<", ">1 ms<", ">100 ms<", ">p50<", ">p99<"]) {
    expect(PLOT).toContain(words);
  }
});

test("a plot of latency has a mark for each rate on each line", () => {
  expect(PLOT.match(/<circle class="p50-mark"/g)).toHaveLength(POINTS.length);
  expect(PLOT.match(/<circle class="p99-mark"/g)).toHaveLength(POINTS.length);
});

test("the limit ends at its rate, at the height of its latency", () => {
  const [, limitAt, limitEnds] = /class="limit" d="M\d+ ([\d.]+)H([\d.]+)"/.exec(PLOT) ?? [];
  expect(PLOT).toContain(`<circle class="p99-mark" cx="${limitEnds}" cy="${limitAt}"`);
});

test("a plot of latency can be read on a dark page and has no background of its own", () => {
  expect(PLOT).toContain("prefers-color-scheme: dark");
  expect(PLOT).not.toContain("<rect");
});
