import { latencyPlot } from "./support/latency-plot.ts";
import {
  alternate,
  highestRate,
  medianOf,
  ms,
  READS,
  readFrom,
  startReading,
  type Turn,
  warmUp,
} from "./support/reading.ts";
import { residentMemory } from "./support/resident-memory.ts";
import { startApi } from "./support/stored-connections.ts";
import type { Findings, Plot, Table } from "./support/table.ts";

/** Of the highest rate. */
const SHARES = [0.1, 0.25, 0.5, 0.75, 0.9, 1];

/** The share at which the latency is promised, and what is promised there. */
const PROMISED_SHARE = 0.5;
const PROMISED_MS = 10;

const ROUNDS = 3;
const ROUND_SECONDS = 4;

export const readLatency: Table = {
  name: "read-latency",
  title: "Latency and memory of reading, at fixed rates",
  async run(): Promise<Findings> {
    await using reading = await startReading();
    const { children, database, stored } = reading;
    const api = await startApi(children, database, stored);
    await warmUp(api, stored);
    const highest = await highestRate(api, stored);
    const turns = SHARES.map(
      (share) => () => readFrom(api, stored, { seconds: ROUND_SECONDS, perSecond: highest * share }),
    );
    const results = await alternate(turns, ROUNDS);
    const points = SHARES.map((share, index) => pointOf(share, highest, results[index] ?? []));
    const promised = points.find(({ share }) => share === PROMISED_SHARE);
    const { now, peak } = residentMemory(api.pid);
    return {
      rows: [
        ["of the highest rate", "requests/s", "answered/s", "p50", "p99", "cores of the API"],
        ...points.map(({ share, perSecond, answered, p50, p99, cores }) => [
          percent(share),
          perSecond.toFixed(0),
          answered.toFixed(0),
          ms(p50),
          ms(p99),
          cores.toFixed(2),
        ]),
      ],
      checks: [
        {
          what: `p99 at ${percent(PROMISED_SHARE)} of the highest rate`,
          measured: promised?.p99 ?? Number.NaN,
          limit: { under: PROMISED_MS },
          unit: " ms",
        },
        { what: "RSS of the API process at its highest", measured: peak, limit: { under: 160 }, unit: " MB" },
      ],
      plot: plotOf(points, highest),
      method: [
        READS,
        `Each request is due at an instant of its own, whether or not earlier ones were answered, and its latency counts from then: one that is sent late, because all clients were waiting for answers, has waited. The generator's timers move that instant by up to a millisecond. The highest rate is the median of three turns in which every client asks as soon as it has its answer.`,
        `${ROUNDS} rounds of ${ROUND_SECONDS} s for each rate; the medians. Load generator, API and Postgres share the cores. Near the highest rate a queue forms, and the figures say how long it got in ${ROUND_SECONDS} s.`,
        `RSS as the kernel counts it, all included: its highest under all these loads, the one without a rate among them; ${now.toFixed(1)} MB at the end. The environment is that of docs/scaling.md (\`MALLOC_ARENA_MAX=1\`, \`NODE_OPTIONS=--max-semi-space-size=16\`).`,
      ],
    };
  },
};

/** Medians of the turns at one rate. */
interface Point {
  readonly share: number;
  /** Asked for. */
  readonly perSecond: number;
  readonly answered: number;
  readonly p50: number;
  readonly p99: number;
  readonly cores: number;
}

function pointOf(share: number, highest: number, turns: readonly Turn[]): Point {
  return {
    share,
    perSecond: highest * share,
    answered: medianOf(turns, ({ requestsPerSecond }) => requestsPerSecond),
    p50: medianOf(turns, ({ p50 }) => p50),
    p99: medianOf(turns, ({ p99 }) => p99),
    cores: medianOf(turns, ({ cores }) => cores),
  };
}

function plotOf(points: readonly Point[], highest: number): Plot {
  const title = "Latency of GET /connections/:id against rate";
  const limit = {
    label: `limit of p99 up to ${percent(PROMISED_SHARE)} of the highest rate`,
    perSecond: highest * PROMISED_SHARE,
    milliseconds: PROMISED_MS,
  };
  return { path: "docs/read-latency.svg", title, svg: latencyPlot(title, points, limit) };
}

function percent(share: number): string {
  return `${(share * 100).toFixed(0)} %`;
}
