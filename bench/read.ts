import { join } from "node:path";
import { createChildProcesses, type ChildProcesses } from "../dev/processes/child-processes.ts";
import { freePorts } from "../dev/processes/free-port.ts";
import { makeScratchDirectory } from "../dev/processes/scratch-directory.ts";
import { startMigratedDatabase, type ArenaDatabase } from "./support/arena.ts";
import type { BareTask } from "./support/bare-task.ts";
import { cpuSeconds } from "./support/cpu-time.ts";
import { nodeArguments } from "./support/emitted.ts";
import { runLoad, type LoadResult } from "./support/load.ts";
import { median } from "./support/measure.ts";
import { progress } from "./support/progress.ts";
import { whenServed } from "./support/served.ts";
import { type Contender, fill, startApi, type Stored } from "./support/stored-connections.ts";
import type { Findings, Table } from "./support/table.ts";

const CONNECTIONS = 10_000;
const CLIENTS = 32;

/** Rounds in which both servers have their turn, one after the other. */
const ROUNDS = 7;
const ROUND_SECONDS = 4;
/** Before the first round: both compile what runs often, and Postgres plans what is asked often. */
const WARM_UP_SECONDS = 4;

export const read: Table = {
  name: "read",
  title: "Reading: GET /connections/:id",
  async run(): Promise<Findings> {
    const directory = await makeScratchDirectory();
    await using children = createChildProcesses(directory, true);
    const database = await startMigratedDatabase(directory, children);
    progress(`storing ${CONNECTIONS} connections`);
    const stored = await fill(database, CONNECTIONS);
    const [bare, ours] = await Promise.all([
      startBare(children, database, stored),
      startApi(children, database, stored),
    ]);
    const results = await alternate([bare, ours], stored.names);
    const [ofBare = [], ofOurs = []] = results;
    const ratio = median(
      ofOurs.map(({ requestsPerSecond }, round) => requestsPerSecond / (ofBare[round]?.requestsPerSecond ?? NaN)),
    );
    return {
      rows: [
        ["server", "requests/s", "min-max", "p50", "p99", "cores"],
        rowOf("node:http + SELECT + decrypt", ofBare),
        rowOf("Keystead", ofOurs),
      ],
      checks: [
        { what: "requests a second against the bare server", measured: ratio, limit: { atLeast: 0.6 }, unit: "x" },
      ],
      method: [
        `${CONNECTIONS.toLocaleString("en")} connections with a token of 1,000 characters each, asked for at random by ${CLIENTS} clients over kept connections.`,
        "The bare server finds the same rows with one pipelined SELECT by their unique index and decrypts the credentials; it knows no keys, no routes and no audit. Keystead runs with its default settings: every read is authenticated, and recorded before it is answered.",
        `${ROUNDS} rounds of ${ROUND_SECONDS} s each, both servers in turn in every round; the ratio is the median of the rounds'.`,
      ],
    };
  },
};

async function startBare(children: ChildProcesses, { url }: ArenaDatabase, stored: Stored): Promise<Contender> {
  const [port = 0] = await freePorts(1);
  const { encryptionKey, environmentId, integrationId } = stored;
  const task: BareTask = { port, databaseUrl: url, encryptionKey, environmentId, integrationId };
  const { pid } = children.start({
    name: "bare-server",
    command: process.execPath,
    args: [...nodeArguments(), join(import.meta.dirname, "support", "bare-server.ts"), JSON.stringify(task)],
    stopPhase: 2,
  });
  await whenServed(`http://127.0.0.1:${port}/connections/${stored.names[0]}`);
  return { pid, port, request: (id) => `GET /connections/${id} HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n` };
}

/** One turn of one server, with the cores that its process kept busy. */
interface Turn extends LoadResult {
  readonly cores: number;
}

/** Results of each contender, round by round. Who is first changes every round. */
async function alternate(contenders: readonly Contender[], names: readonly string[]): Promise<Turn[][]> {
  const ask = async ({ pid, port, request }: Contender, seconds: number): Promise<Turn> => {
    const cpuBefore = cpuSeconds(pid);
    const load = await runLoad({
      host: "127.0.0.1",
      port,
      clients: CLIENTS,
      seconds,
      next: () => request(names[Math.floor(Math.random() * names.length)] ?? ""),
    });
    return { ...load, cores: (cpuSeconds(pid) - cpuBefore) / seconds };
  };
  for (const contender of contenders) await ask(contender, WARM_UP_SECONDS);
  const results = contenders.map((): Turn[] => []);
  for (let round = 0; round < ROUNDS; round += 1) {
    const turns = [...contenders.entries()];
    for (const [index, contender] of round % 2 === 0 ? turns : turns.toReversed()) {
      results[index]?.push(await ask(contender, ROUND_SECONDS));
    }
    progress(
      `round ${round + 1}: ${results.map((one) => one.at(-1)?.requestsPerSecond.toFixed(0)).join(" and ")} requests/s`,
    );
  }
  return results;
}

function rowOf(name: string, results: readonly Turn[]): string[] {
  const rates = results.map(({ requestsPerSecond }) => requestsPerSecond);
  return [
    name,
    median(rates).toFixed(0),
    `${Math.min(...rates).toFixed(0)}-${Math.max(...rates).toFixed(0)}`,
    `${median(results.map(({ p50 }) => p50)).toFixed(2)} ms`,
    `${median(results.map(({ p99 }) => p99)).toFixed(2)} ms`,
    median(results.map(({ cores }) => cores)).toFixed(2),
  ];
}
