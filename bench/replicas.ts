import { availableParallelism } from "node:os";
import { boundOf } from "./support/bound.ts";
import { busySeconds, cpuSeconds, cpuSecondsOfFamily } from "./support/cpu-time.ts";
import type { LoadResult } from "./support/load.ts";
import { sum } from "./support/measure.ts";
import {
  alternate,
  CLIENTS,
  medianOf,
  medianRatio,
  ms,
  type Reading,
  READS,
  readFrom,
  startReading,
  warmUp,
} from "./support/reading.ts";
import { type Contender, startApi } from "./support/stored-connections.ts";
import type { Findings, Table } from "./support/table.ts";

const ROUNDS = 5;
const ROUND_SECONDS = 4;

export const replicas: Table = {
  name: "replicas",
  title: "Reading from two replicas of the API",
  async run(): Promise<Findings> {
    await using reading = await startReading();
    const { children, database, stored } = reading;
    const [first, second] = await Promise.all([
      startApi(children, database, stored),
      startApi(children, database, stored, { name: "api-2" }),
    ]);
    for (const replica of [first, second]) await warmUp(replica, stored);
    const [one = [], two = []] = await alternate(
      [() => readFromAll([first], reading), () => readFromAll([first, second], reading)],
      ROUNDS,
    );
    const ofTwo = mediansOf(two);
    const bound = boundOf({ ...ofTwo, all: availableParallelism() });
    return {
      rows: [
        ["", "requests/s", "p50", "p99", "cores of each API", "of Postgres", "of the load generator", "busy in all"],
        rowOf("one replica", mediansOf(one)),
        rowOf("two replicas", ofTwo),
      ],
      checks: [
        {
          what: "requests a second against one replica",
          measured: medianRatio(two, one, ({ requestsPerSecond }) => requestsPerSecond),
          limit: { atLeast: 1.6 },
          unit: "x",
          bound,
        },
      ],
      method: [
        `${READS} Each replica has as many: ${2 * CLIENTS} ask two of them, from one process.`,
        `Cores are seconds of CPU in a second, of ${availableParallelism()} that there are; "busy in all" holds what else the machine did. Two replicas were bound by ${bound ?? "themselves"}. The limit fails only where each replica used up a core of its own while others were left: with two cores the second replica takes from Postgres and the load generator what it needs.`,
        `${ROUNDS} rounds of ${ROUND_SECONDS} s each, both in turn in every round; medians, and the median of the rounds' ratios. Latencies are those of the slower replica.`,
      ],
    };
  },
};

/** One turn of all replicas, with the cores that were kept busy meanwhile. */
interface ReplicasTurn extends LoadResult {
  readonly replicas: readonly number[];
  readonly postgres: number;
  readonly generator: number;
  readonly busy: number;
}

async function readFromAll(apis: readonly Contender[], { database, stored }: Reading): Promise<ReplicasTurn> {
  const used = (): number[] => [cpuSecondsOfFamily(database.pid), cpuSeconds(process.pid), busySeconds()];
  const startedAt = performance.now();
  const before = used();
  const turns = await Promise.all(apis.map((api) => readFrom(api, stored, { seconds: ROUND_SECONDS })));
  const seconds = (performance.now() - startedAt) / 1_000;
  const [postgres = Number.NaN, generator = Number.NaN, busy = Number.NaN] = used().map(
    (now, index) => (now - (before[index] ?? Number.NaN)) / seconds,
  );
  return {
    requestsPerSecond: sum(turns.map(({ requestsPerSecond }) => requestsPerSecond)),
    p50: Math.max(...turns.map(({ p50 }) => p50)),
    p99: Math.max(...turns.map(({ p99 }) => p99)),
    replicas: turns.map(({ cores }) => cores),
    postgres,
    generator,
    busy,
  };
}

function mediansOf(turns: readonly ReplicasTurn[]): ReplicasTurn {
  const [first] = turns;
  return {
    requestsPerSecond: medianOf(turns, ({ requestsPerSecond }) => requestsPerSecond),
    p50: medianOf(turns, ({ p50 }) => p50),
    p99: medianOf(turns, ({ p99 }) => p99),
    replicas: (first?.replicas ?? []).map((_, index) => medianOf(turns, (turn) => turn.replicas[index] ?? Number.NaN)),
    postgres: medianOf(turns, ({ postgres }) => postgres),
    generator: medianOf(turns, ({ generator }) => generator),
    busy: medianOf(turns, ({ busy }) => busy),
  };
}

function rowOf(name: string, turn: ReplicasTurn): string[] {
  return [
    name,
    turn.requestsPerSecond.toFixed(0),
    ms(turn.p50),
    ms(turn.p99),
    turn.replicas.map((cores) => cores.toFixed(2)).join(" + "),
    ...[turn.postgres, turn.generator, turn.busy].map((cores) => cores.toFixed(2)),
  ];
}
