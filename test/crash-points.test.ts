import { afterAll, beforeAll, expect, onTestFailed, test } from "vitest";
import { createLane, type Lane, type Played } from "./support/crash-lane.ts";
import type { Scenario } from "./support/crash-scenario.ts";
import { SCENARIOS } from "./support/crash-scenarios.ts";
import type { CrashPoint } from "./support/crash-wire.ts";

// A controller that is killed at any one of its messages has a successor that finishes the work, and nothing is half done.
// KEYSTEAD_TEST_CRASH_POINTS=all tries every point of every scenario: half a second each on two idle cores. Otherwise a sample
// that is another one in each run; KEYSTEAD_TEST_CRASH_SEED takes one again.

const ALL = process.env["KEYSTEAD_TEST_CRASH_POINTS"] === "all";
const SEED = Number(process.env["KEYSTEAD_TEST_CRASH_SEED"] ?? Date.now());
/** Scenarios of a sample and points of each: a few hundredths of the work of all tests. */
const SAMPLE = { scenarios: 3, points: 2 };
/** Three keep two cores busy: each waits now and then. */
const LANES = 3;
const PATIENCE_MS = 900_000;

const lanes: Lane[] = [];
const table: Record<string, object> = {};

beforeAll(async () => {
  const names = Array.from({ length: LANES }, (_, number) => `lane-${number}`);
  lanes.push(...(await Promise.all(names.map((name) => createLane(name)))));
});
afterAll(async () => {
  const sample = `a sample of the crash points, ${SAMPLED.length} of ${SCENARIOS.length} scenarios, seed ${SEED}`;
  console.log(ALL ? "every crash point" : sample);
  console.table(table);
  await Promise.all(lanes.map((lane) => lane[Symbol.asyncDispose]()));
});

/** Both sides of each of `count` messages. */
function pointsOf(count: number): CrashPoint[] {
  return Array.from({ length: count }, (_, index) => index + 1).flatMap((message) => [
    { message, side: "before" as const },
    { message, side: "after" as const },
  ]);
}

/** `size` of them or a few more, evenly spread from a start that the seed decides. */
function sampleOf<T>(all: readonly T[], size: number): readonly T[] {
  const stride = ALL ? 1 : Math.max(1, Math.floor(all.length / size));
  return all.filter((_, index) => (index + SEED) % stride === 0);
}

const SAMPLED = sampleOf(SCENARIOS, SAMPLE.scenarios);

type PlayedAt = Played & { readonly point: CrashPoint };

async function playAll(scenario: Scenario, points: readonly CrashPoint[]): Promise<PlayedAt[]> {
  const left = points.values();
  const played: PlayedAt[] = [];
  await Promise.all(
    lanes.map(async (lane) => {
      for (const point of left) played.push({ ...(await lane.play(scenario, point)), point });
    }),
  );
  return played;
}

test.each(SAMPLED)(
  "$name: killed at any message, nothing is lost, doubled or left over",
  { timeout: PATIENCE_MS },
  async (scenario) => {
    onTestFailed(() => console.error(`the points follow from seed ${SEED}`));
    const startedAt = performance.now();
    const [lane = expect.unreachable()] = lanes;
    const undisturbed = await lane.play(scenario);
    expect(undisturbed.breaches).toEqual([]);

    const points = pointsOf(undisturbed.messages.length);
    const played = await playAll(scenario, sampleOf(points, SAMPLE.points));

    table[scenario.name] = {
      messages: undisturbed.messages.length,
      points: points.length,
      tried: played.length,
      killed: played.filter(({ struck }) => struck).length,
      seconds: Math.round((performance.now() - startedAt) / 1_000),
    };
    const broken = played.filter(({ breaches }) => breaches.length > 0);
    expect(broken.map(({ point, messages, breaches }) => ({ point, at: messages.at(-1), breaches }))).toEqual([]);
  },
);
