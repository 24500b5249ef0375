import { setTimeout as delay } from "node:timers/promises";
import { asKeysteadError } from "../errors.ts";

/** Numbers of all workers of a process. */
export interface WorkerMetrics {
  /** A turn began; the function that comes back says how it ended. */
  started(worker: string): (result: "success" | "error") => void;
}

/** A piece of work that comes up again and again, whichever process gets to it first. */
export interface WorkerOptions {
  /** As metrics and log lines name it. */
  readonly name: string;
  /** Time between the end of a turn and the next, less up to a fifth, so that replicas drift apart. */
  readonly intervalMs: number;
  /** The first turn comes at a random moment within this time: replicas that start together begin apart. Default 5 s. */
  readonly firstWithinMs?: number;
  /**
   * One turn: all that is due now. It has to be safe in any number of processes at once, and to come to an end soon after
   * `signal` fires, be it by returning or by throwing.
   */
  readonly run: (signal: AbortSignal) => Promise<void>;
  readonly metrics: WorkerMetrics;
  readonly log: { info(fields: object, message: string): void; warn(fields: object, message: string): void };
}

/** Long enough for the replicas of a roll-out not to ask at the same moment, short enough to see a worker work. */
const FIRST_WITHIN_MS = 5_000;

/** Pause after a first failure, doubled with each that follows, up to the interval. */
const FIRST_RETRY_MS = 1_000;

/**
 * Gives a worker its turns until it is disposed; disposing breaks off the turn under way and waits for its end. A failed turn
 * is tried again with growing pauses, so an outage of the database costs a question now and then; it is logged once when
 * the failures begin and once when they end.
 */
export function startWorker(options: WorkerOptions): AsyncDisposable {
  const stop = new AbortController();
  const turns = work(options, stop.signal);
  return {
    async [Symbol.asyncDispose]() {
      stop.abort();
      await turns;
    },
  };
}

async function work(options: WorkerOptions, signal: AbortSignal): Promise<void> {
  let failures = 0;
  await pause(Math.random() * (options.firstWithinMs ?? FIRST_WITHIN_MS), signal);
  while (!signal.aborted) {
    failures = (await takeTurn(options, failures, signal)) ? 0 : failures + 1;
    await pause(pauseAfter(failures, options.intervalMs) * (1 - Math.random() / 5), signal);
  }
}

/** Whether the turn went well. One that was broken off has not failed. */
async function takeTurn(
  { name, run, metrics, log }: WorkerOptions,
  failures: number,
  signal: AbortSignal,
): Promise<boolean> {
  const ended = metrics.started(name);
  try {
    await run(signal);
    ended("success");
    if (failures > 0) log.info({ worker: name }, "a worker works again");
    return true;
  } catch (thrown) {
    if (signal.aborted) return true;
    ended("error");
    if (failures === 0) log.warn({ worker: name, error: asKeysteadError(thrown) }, "a worker failed and tries again");
    return false;
  }
}

/** Pure. Milliseconds, before jitter. */
export function pauseAfter(failures: number, intervalMs: number): number {
  return failures === 0 ? intervalMs : Math.min(intervalMs, FIRST_RETRY_MS * 2 ** (failures - 1));
}

async function pause(ms: number, signal: AbortSignal): Promise<void> {
  // The timer rejects for no other reason than the signal.
  await delay(ms, undefined, { signal }).catch(() => undefined);
}
