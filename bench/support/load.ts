import { connect, type Socket } from "node:net";
import { setTimeout as delay } from "node:timers/promises";
import { KeysteadError } from "../../src/errors.ts";
import { quantile } from "./measure.ts";

/** Requests of one server under load. */
export interface Load {
  readonly host: string;
  readonly port: number;
  /** Clients, each with a connection that it keeps and one request at a time. */
  readonly clients: number;
  readonly seconds: number;
  /** Ends it earlier. */
  readonly signal?: AbortSignal;
  /** What each client waits after an answer. Default 0. */
  readonly thinkMs?: number;
  /** The bytes of the next request. */
  next(): string;
}

export interface LoadResult {
  readonly requestsPerSecond: number;
  /** Milliseconds from the first byte sent to the last received. */
  readonly p50: number;
  readonly p99: number;
}

/**
 * Asks as fast as the answers come. Requests are written as bytes and answers are read no further than to their length,
 * because this shares the machine's cores with what it measures. Throws `part_failed` for any status but 200.
 */
export async function runLoad(load: Load): Promise<LoadResult> {
  const startedAt = performance.now();
  const latencies: number[] = [];
  await Promise.all(
    Array.from({ length: load.clients }, () => runClient(load, startedAt + load.seconds * 1_000, latencies)),
  );
  const seconds = (performance.now() - startedAt) / 1_000;
  return {
    requestsPerSecond: latencies.length / seconds,
    p50: quantile(latencies, 0.5),
    p99: quantile(latencies, 0.99),
  };
}

async function runClient(load: Load, endsAt: number, latencies: number[]): Promise<void> {
  const socket = connect({ host: load.host, port: load.port, noDelay: true });
  const answers = readAnswers(socket);
  try {
    while (performance.now() < endsAt && load.signal?.aborted !== true) {
      const sentAt = performance.now();
      socket.write(load.next());
      await answers();
      latencies.push(performance.now() - sentAt);
      if (load.thinkMs) await delay(load.thinkMs);
    }
  } finally {
    socket.destroy();
  }
}

/** Gives a function that resolves when the next whole answer has arrived; one is waited for at a time. */
function readAnswers(socket: Socket): () => Promise<void> {
  let received: Buffer = Buffer.alloc(0);
  let settle: { resolve(): void; reject(error: unknown): void } | undefined;
  socket.on("error", (error) => settle?.reject(error));
  socket.on("close", () => settle?.reject(new KeysteadError("part_failed", "The server closed a connection")));
  socket.on("data", (chunk: Buffer) => {
    received = received.length === 0 ? chunk : Buffer.concat([received, chunk]);
    try {
      const length = lengthOfAnswer(received);
      if (length === undefined || received.length < length) return;
      received = received.subarray(length);
      settle?.resolve();
    } catch (error) {
      settle?.reject(error);
    }
  });
  return () =>
    new Promise((resolve, reject) => {
      settle = { resolve, reject };
    });
}

/** Bytes of the first answer, head and body; undefined while its head is not complete. */
function lengthOfAnswer(received: Buffer): number | undefined {
  const headEnd = received.indexOf("\r\n\r\n");
  if (headEnd === -1) return undefined;
  const head = received.toString("latin1", 0, headEnd);
  if (!head.startsWith("HTTP/1.1 200 ")) {
    throw new KeysteadError("part_failed", `A read was answered with ${received.toString("utf8").slice(0, 500)}`);
  }
  const length = /^content-length: (\d+)$/im.exec(head)?.[1];
  if (length === undefined) throw new KeysteadError("part_failed", `An answer has no length: ${head}`);
  return headEnd + 4 + Number(length);
}
