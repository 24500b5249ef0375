import { expect, test } from "vitest";
import { eventually } from "../../test/support/eventually.ts";
import { KeysteadError } from "../errors.ts";
import { apiError } from "./api-error.ts";
import { silentLog } from "./log.ts";
import type { ReflectorLoop } from "./reflector-loop.ts";
import { createReflectorLoop } from "./reflector-loop.ts";
import { REFLECTOR_TIMING } from "./reflector-timing.ts";

const unreachable = new KeysteadError("kube_unreachable", "reset");
const forbidden = apiError("GET /x", 403, "{}");
const missing = apiError("GET /x", 404, "{}");
const expired = apiError("GET /x", 410, "{}");

type Turn = KeysteadError | "closed" | "opened, closed";

/** Turns a loop through these endings, then ends it. */
async function turnThrough(turns: readonly Turn[]) {
  const lines: string[] = [];
  const ends: string[] = [];
  const failures: number[] = [];
  const stop = new AbortController();
  let next = 0;
  const note = (_fields: object, line: string): void => void lines.push(line);
  const loop: ReflectorLoop = createReflectorLoop({
    kind: "widgets",
    position: {
      async advance() {
        const turn = turns[next];
        next += 1;
        if (turn === undefined) stop.abort();
        else if (turn instanceof KeysteadError) throw turn;
        else if (turn !== "closed") loop.opened();
      },
      failed: (_error, count) => void failures.push(count),
    },
    timing: { ...REFLECTOR_TIMING, backoffMs: 1, backoffCapMs: 2, reopenMs: 0 },
    log: { info: note, warn: note, error: note },
    signal: stop.signal,
    progress: () => undefined,
    ended: (reason) => void ends.push(reason),
  });
  await loop.run();
  return { lines, ends: ends.slice(0, turns.length), failures };
}

test.each([
  { why: "a connection that breaks now and then is daily life", turns: [unreachable, unreachable, "closed"], said: 0 },
  {
    why: "one that keeps breaking is told once",
    turns: [unreachable, unreachable, unreachable, unreachable, unreachable],
    said: 1,
  },
  { why: "a missing right is told at once", turns: [forbidden, forbidden], said: 1 },
  { why: "trouble of another nature is told again", turns: [forbidden, missing, forbidden], said: 3 },
  { why: "an expired version alone is no trouble", turns: [expired, expired], said: 0 },
  { why: "the end of the trouble is told", turns: [missing, "opened, closed", "opened, closed"], said: 2 },
] satisfies { why: string; turns: Turn[]; said: number }[])("what the log says: $why", async ({ turns, said }) => {
  expect((await turnThrough(turns)).lines).toHaveLength(said);
});

test("failures count up until a watch ends in good order", async () => {
  const { failures, ends } = await turnThrough([unreachable, expired, "closed", unreachable]);
  expect(failures).toEqual([1, 2, 1]);
  expect(ends).toEqual(["kube_unreachable", "kube_expired", "closed", "kube_unreachable"]);
});

test("a server that asks for an hour is asked again after the longest pause of our own", async () => {
  const anHour = apiError("GET /widgets", 503, "upstream is gone", "3600");
  expect((await turnThrough([anHour, anHour, "closed"])).ends).toEqual(["kube_api_error", "kube_api_error", "closed"]);
});

test("a failure is never a reason to end, and the end is never a failure", async () => {
  const stop = new AbortController();
  let turns = 0;
  const loop = createReflectorLoop({
    kind: "widgets",
    position: {
      advance: () => {
        turns += 1;
        return Promise.reject(new TypeError("a defect of our own"));
      },
      failed: () => undefined,
    },
    timing: { ...REFLECTOR_TIMING, backoffMs: 1, backoffCapMs: 2 },
    log: { info: () => undefined, warn: () => undefined, error: () => undefined },
    signal: stop.signal,
    progress: () => undefined,
    ended: () => undefined,
  });
  const running = loop.run();
  await eventually(() => expect(turns).toBeGreaterThan(10));
  stop.abort();
  await running;
});

test("an outage counts from the beginning, and from the first failure, until a watch is open", async () => {
  const stop = new AbortController();
  const turns: (() => Promise<void>)[] = [];
  const outages: number[] = [];
  const loop = createReflectorLoop({
    kind: "widgets",
    position: {
      async advance() {
        outages.push(loop.outageMs(performance.now() + 60_000));
        await turns.shift()?.();
      },
      failed: () => undefined,
    },
    timing: { ...REFLECTOR_TIMING, backoffMs: 0, backoffCapMs: 0, reopenMs: 0 },
    log: silentLog,
    signal: stop.signal,
    progress: () => undefined,
    ended: () => undefined,
  });
  turns.push(
    () => Promise.reject(unreachable),
    async () => loop.opened(),
    () => Promise.reject(unreachable),
    () => Promise.reject(unreachable),
    async () => stop.abort(),
  );
  await loop.run();

  expect(outages.map((ms) => (ms >= 60_000 ? "outage" : ms))).toEqual(["outage", "outage", 0, "outage", "outage"]);
});
