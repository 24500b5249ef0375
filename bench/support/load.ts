import { setTimeout as delay } from "node:timers/promises";
import { KeysteadError } from "../../src/errors.ts";
import { openHttpClient } from "./http-client.ts";
import { quantile } from "./measure.ts";
import { createSchedule, latencyOf } from "./schedule.ts";

/** Requests of one server under load. */
export interface Load {
  readonly host: string;
  readonly port: number;
  /** Clients, each with a connection that it keeps and one request at a time. */
  readonly clients: number;
  readonly seconds: number;
  /** Ends it earlier. */
  readonly signal?: AbortSignal;
  /**
   * Requests of all clients together in a second, each due at an instant of its own and sent by the first client that is
   * free from then on. All that were due by the end are sent. Default: each client asks when it has its answer.
   */
  readonly perSecond?: number | undefined;
  /** What each client waits after an answer. Default 0. */
  readonly thinkMs?: number;
  /** The bytes of the next request. */
  next(): string;
}

export interface LoadResult {
  /** That were answered. */
  readonly requestsPerSecond: number;
  /** Milliseconds to the last byte received, from the first one sent or, at a fixed rate, from when the request was due. */
  readonly p50: number;
  readonly p99: number;
}

/** Throws `part_failed` for any status but 200. */
export async function runLoad(load: Load): Promise<LoadResult> {
  const startedAt = performance.now();
  const nextDueAt = load.perSecond === undefined ? () => performance.now() : createSchedule(startedAt, load.perSecond);
  const latencies: number[] = [];
  const turn = { nextDueAt, endsAt: startedAt + load.seconds * 1_000, latencies };
  await Promise.all(Array.from({ length: load.clients }, () => runClient(load, turn)));
  const seconds = (performance.now() - startedAt) / 1_000;
  return {
    requestsPerSecond: latencies.length / seconds,
    p50: quantile(latencies, 0.5),
    p99: quantile(latencies, 0.99),
  };
}

/** What the clients of one load share. */
interface LoadTurn {
  readonly nextDueAt: () => number;
  readonly endsAt: number;
  readonly latencies: number[];
}

async function runClient(load: Load, { nextDueAt, endsAt, latencies }: LoadTurn): Promise<void> {
  using client = openHttpClient(load);
  for (let dueAt = nextDueAt(); dueAt < endsAt && load.signal?.aborted !== true; dueAt = nextDueAt()) {
    const early = dueAt - performance.now();
    // Timers count whole milliseconds; what is left of one is not waited for.
    if (early >= 1) await delay(Math.trunc(early));
    const sentAt = performance.now();
    const { status, bytes } = await client.ask(load.next());
    if (status !== 200) {
      throw new KeysteadError("part_failed", `A read was answered with ${bytes.toString("utf8").slice(0, 500)}`);
    }
    latencies.push(latencyOf({ dueAt, sentAt, answeredAt: performance.now() }));
    if (load.thinkMs) await delay(load.thinkMs);
  }
}
