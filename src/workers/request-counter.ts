import type { WorkerOptions } from "./worker.ts";

/** Once a second, as the limits of docs/api.md are kept within what may come in that time. */
const INTERVAL_MS = 1_000;

/** Has the counts of requests exchanged with the other processes that serve the API. */
export function createRequestCounter(exchange: () => Promise<void>): Omit<WorkerOptions, "metrics" | "log"> {
  return { name: "request-counter", intervalMs: INTERVAL_MS, firstWithinMs: INTERVAL_MS, run: exchange };
}
