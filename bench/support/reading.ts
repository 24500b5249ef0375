import { createChildProcesses, type ChildProcesses } from "../../dev/processes/child-processes.ts";
import { makeScratchDirectory } from "../../dev/processes/scratch-directory.ts";
import { startMigratedDatabase, type ArenaDatabase } from "./arena.ts";
import { cpuSeconds } from "./cpu-time.ts";
import { runLoad, type LoadResult } from "./load.ts";
import { median } from "./measure.ts";
import { progress } from "./progress.ts";
import { type Contender, fill, type Stored } from "./stored-connections.ts";

const CONNECTIONS = 10_000;
export const CLIENTS = 32;

/** How the tables about reading begin to say how they were measured. */
export const READS = `${CONNECTIONS.toLocaleString("en")} connections with a token of 1,000 characters each, asked for at random by ${CLIENTS} clients over kept connections.`;

/** Before anything is measured: servers compile what runs often, and Postgres plans what is asked often. */
const WARM_UP_SECONDS = 4;

/** Turns of which the median is the highest rate. */
const MAXIMUM_TURNS = 3;
const MAXIMUM_SECONDS = 3;

/** A Postgres of its own with connections in it, and whatever is started beside it. */
export interface Reading extends AsyncDisposable {
  readonly children: ChildProcesses;
  readonly database: ArenaDatabase;
  readonly stored: Stored;
}

export async function startReading(): Promise<Reading> {
  const directory = await makeScratchDirectory();
  await using starting = new AsyncDisposableStack();
  const children = starting.use(createChildProcesses(directory, true));
  const database = await startMigratedDatabase(directory, children);
  progress(`storing ${CONNECTIONS} connections`);
  const stored = await fill(database, CONNECTIONS);
  const running = starting.move();
  return { children, database, stored, [Symbol.asyncDispose]: () => running.disposeAsync() };
}

/** One turn of one server, with the cores that its process kept busy. */
export interface Turn extends LoadResult {
  readonly cores: number;
}

/** Reads connections at random, as fast as they are answered or at a rate. */
export async function readFrom(
  { pid, port, request }: Contender,
  { names }: Stored,
  { seconds, perSecond }: { readonly seconds: number; readonly perSecond?: number },
): Promise<Turn> {
  const startedAt = performance.now();
  const cpuBefore = cpuSeconds(pid);
  const load = await runLoad({
    host: "127.0.0.1",
    port,
    clients: CLIENTS,
    seconds,
    perSecond,
    next: () => request(names[Math.floor(Math.random() * names.length)] ?? ""),
  });
  // At more than a server can do the turn lasts longer than it was to.
  return { ...load, cores: (cpuSeconds(pid) - cpuBefore) / ((performance.now() - startedAt) / 1_000) };
}

/** Has a server run as it does after a while. */
export async function warmUp(server: Contender, stored: Stored): Promise<void> {
  await readFrom(server, stored, { seconds: WARM_UP_SECONDS });
}

/** Requests a second that a warm server answers when it is asked as fast as it answers. */
export async function highestRate(server: Contender, stored: Stored): Promise<number> {
  const rates: number[] = [];
  while (rates.length < MAXIMUM_TURNS) {
    rates.push((await readFrom(server, stored, { seconds: MAXIMUM_SECONDS })).requestsPerSecond);
  }
  progress(`at most ${median(rates).toFixed(0)} requests/s`);
  return median(rates);
}

/** Results of each contender, round by round. Who is first changes every round. */
export async function alternate<T extends LoadResult>(
  contenders: readonly (() => Promise<T>)[],
  rounds: number,
): Promise<T[][]> {
  const results = contenders.map((): T[] => []);
  for (let round = 0; round < rounds; round += 1) {
    const turns = [...contenders.entries()];
    for (const [index, turn] of round % 2 === 0 ? turns : turns.toReversed()) results[index]?.push(await turn());
    const said = results
      .map((one) => one.at(-1))
      .map((last) => last && `${last.requestsPerSecond.toFixed(0)}/s (p99 ${ms(last.p99)})`);
    progress(`round ${round + 1}: ${said.join(", ")}`);
  }
  return results;
}

/** The median of a figure over the rounds. */
export function medianOf<T>(turns: readonly T[], figure: (turn: T) => number): number {
  return median(turns.map((turn) => figure(turn)));
}

/** The median of the rounds' ratios, since neighbours in time have the same machine. */
export function medianRatio<T>(turns: readonly T[], others: readonly T[], figure: (turn: T) => number): number {
  return median(
    turns.map((turn, round) => {
      const other = others[round];
      return figure(turn) / (other === undefined ? Number.NaN : figure(other));
    }),
  );
}

export function ms(milliseconds: number): string {
  return `${milliseconds.toFixed(2)} ms`;
}
