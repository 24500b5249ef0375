import { fork, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { KeysteadError } from "../src/errors.ts";
import { cpuSeconds } from "./support/cpu-time.ts";
import {
  alternate,
  highestRate,
  medianOf,
  medianRatio,
  ms,
  READS,
  readFrom,
  startReading,
  type Turn,
  warmUp,
} from "./support/reading.ts";
import { type Contender, startApi } from "./support/stored-connections.ts";
import type { Check, Findings, Table } from "./support/table.ts";
import type { UnknownKeysResult, UnknownKeysTask } from "./support/unknown-keys-task.ts";

/** Clients with unknown keys. */
const UNKNOWN_CLIENTS = 64;

/** As many as it takes for the CPU of an unknown key to be seen: each has its answer late (see `judge` in src/api/gate.ts). */
const CROWD = 1_024;

/** Share of the highest rate at which good keys are used beside them. */
const NORMAL_SHARE = 0.5;

/** Refusals of one address that are answered 401: see RATE in src/api/authentication-failures.ts. */
const REFUSALS_OF_ADDRESS = 60;

const ROUNDS = 5;
const ROUND_SECONDS = 4;

const FILE = join(import.meta.dirname, "support", "unknown-keys-process.ts");

export const unknownKeys: Table = {
  name: "unknown-keys",
  title: `Reading beside ${UNKNOWN_CLIENTS} clients with unknown keys`,
  async run(): Promise<Findings> {
    await using reading = await startReading();
    const { children, database, stored } = reading;
    const api = await startApi(children, database, stored);
    await warmUp(api, stored);
    const perSecond = (await highestRate(api, stored)) * NORMAL_SHARE;
    const alone = () => readFrom(api, stored, { seconds: ROUND_SECONDS, perSecond });
    const beside = (requestsOfAddress: number | null) => () =>
      besideUnknownKeys(api, { clients: UNKNOWN_CLIENTS, requestsOfAddress }, alone);
    const [quiet = [], refused = [], limited = []] = await alternate<UnknownTurn>(
      [async () => ({ ...(await alone()), ...NOBODY }), beside(REFUSALS_OF_ADDRESS), beside(null)],
      ROUNDS,
    );
    const refusedCpu = await cpuOfUnknownKey(api, REFUSALS_OF_ADDRESS);
    const limitedCpu = await cpuOfUnknownKey(api, null);
    return {
      rows: [
        ["beside", "unknown keys/s", "of them 429", "reads/s", "p50", "p99", "cores of the API"],
        rowOf("nobody", quiet),
        rowOf("unknown keys of ever new addresses", refused),
        rowOf("unknown keys of one address", limited),
      ],
      checks: [
        ...checksOf("answered 401", { beside: refused, quiet, cpuMs: refusedCpu }),
        ...checksOf("answered 429", { beside: limited, quiet, cpuMs: limitedCpu }),
      ],
      method: [
        `${READS} A rate of ${(NORMAL_SHARE * 100).toFixed(0)} % of what the API answers at most, the same in each turn; latency counts from the instant at which a request was due.`,
        `The clients with unknown keys are a process of their own, and each asks again as soon as it is refused. Their keys are well-formed, so each costs a look-up. They come from loopback addresses: from a new one after ${REFUSALS_OF_ADDRESS} requests, so that all are answered 401, or all from one, so that all but one a second are answered 429.`,
        `${ROUNDS} rounds of ${ROUND_SECONDS} s for each; a ratio is the median of the rounds'. Both load generators, API and Postgres share the cores. The CPU of an unknown key is all that the API takes while ${CROWD.toLocaleString("en")} clients with such keys ask and nobody else does, for each of them.`,
      ],
    };
  },
};

type UnknownTurn = Turn & UnknownKeysResult;

const NOBODY: UnknownKeysResult = { answersPerSecond: 0, tooMany: 0 };

type UnknownClients = Pick<UnknownKeysTask, "clients" | "requestsOfAddress">;

/** Milliseconds of the API's CPU. */
async function cpuOfUnknownKey(api: Contender, requestsOfAddress: number | null): Promise<number> {
  const { cores, answersPerSecond } = await besideUnknownKeys(api, { clients: CROWD, requestsOfAddress }, async () => {
    const [startedAt, before] = [performance.now(), cpuSeconds(api.pid)];
    await delay(ROUND_SECONDS * 1_000);
    return { cores: (cpuSeconds(api.pid) - before) / ((performance.now() - startedAt) / 1_000) };
  });
  return (cores / answersPerSecond) * 1_000;
}

async function besideUnknownKeys<T>(
  { port }: Contender,
  clients: UnknownClients,
  work: () => Promise<T>,
): Promise<T & UnknownKeysResult> {
  const task: UnknownKeysTask = { port, ...clients };
  const child = fork(FILE, [JSON.stringify(task)]);
  const gone = once(child, "exit");
  try {
    await nextMessage(child, gone);
    const turn = await work();
    child.send("stop");
    return { ...turn, ...((await nextMessage(child, gone)) as UnknownKeysResult) };
  } finally {
    if (child.connected) child.disconnect();
    await gone;
  }
}

/** Throws `part_failed` when the process ends without one. */
async function nextMessage(child: ChildProcess, gone: Promise<unknown>): Promise<unknown> {
  const failed = async (): Promise<never> => {
    await gone;
    throw new KeysteadError("part_failed", "The clients with unknown keys ended early");
  };
  const [message] = await Promise.race([once(child, "message"), failed()]);
  return message;
}

interface Measured {
  readonly beside: readonly UnknownTurn[];
  readonly quiet: readonly UnknownTurn[];
  readonly cpuMs: number;
}

function checksOf(answered: string, { beside, quiet, cpuMs }: Measured): Check[] {
  return [
    {
      what: `p99 of good keys against without, unknown ones ${answered}`,
      measured: medianRatio(beside, quiet, ({ p99 }) => p99),
      limit: { atMost: 1.3 },
      unit: "x",
    },
    {
      what: `CPU of the API for an unknown key ${answered}`,
      measured: cpuMs,
      limit: { under: 0.2 },
      unit: " ms",
    },
  ];
}

function rowOf(name: string, turns: readonly UnknownTurn[]): string[] {
  return [
    name,
    medianOf(turns, ({ answersPerSecond }) => answersPerSecond).toFixed(0),
    `${(medianOf(turns, ({ tooMany }) => tooMany) * 100).toFixed(0)} %`,
    medianOf(turns, ({ requestsPerSecond }) => requestsPerSecond).toFixed(0),
    ms(medianOf(turns, ({ p50 }) => p50)),
    ms(medianOf(turns, ({ p99 }) => p99)),
    medianOf(turns, ({ cores }) => cores).toFixed(2),
  ];
}
