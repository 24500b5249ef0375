import type { Log } from "./telemetry/log.ts";
import type { MetricsRegistry } from "./telemetry/prometheus.ts";
import { createPurgeMetrics } from "./telemetry/purge-metrics.ts";
import { createRekeyingMetrics, createWrappingMetrics } from "./telemetry/rekeying-metrics.ts";
import { createWorkerMetrics } from "./telemetry/worker-metrics.ts";
import type { Vault } from "./vault/context.ts";
import { createAuditKeeper } from "./workers/audit-keeper.ts";
import { createAuditLinker } from "./workers/audit-linker.ts";
import { createKeyWrapper } from "./workers/key-wrapper.ts";
import { createPurger } from "./workers/purger.ts";
import { createRekeyer } from "./workers/rekeyer.ts";
import { startWorker, type WorkerMetrics, type WorkerOptions } from "./workers/worker.ts";

/** What makes a worker, without what all of them share. */
type Worker = Omit<WorkerOptions, "metrics" | "log">;

/** What workers get of the process that they run in. */
interface WorkersOptions {
  readonly vault: Vault;
  readonly log: Log;
  readonly registry: MetricsRegistry;
}

/** All workers of a process. */
export interface Workers extends AsyncDisposable {
  /** Numbers of all workers of the process, for those that a part has of its own. */
  readonly metrics: WorkerMetrics;
  /** To be called once nothing in the process writes any more: its last audit events are linked. Never rejects. */
  finish(): Promise<void>;
}

/**
 * Starts what has to be done again and again and belongs to no request and no resource. Every process does it, whatever its
 * part: the database arbitrates, so any number of them may be at it.
 */
export function startWorkers({ vault, log, registry }: WorkersOptions): Workers {
  const linker = createAuditLinker({ vault, log });
  const workers: readonly Worker[] = [
    createPurger(vault, createPurgeMetrics(registry)),
    createAuditKeeper({ vault, log }),
    linker,
    createKeyWrapper({ vault, log, metrics: createWrappingMetrics(registry) }),
    createRekeyer({ vault, log, metrics: createRekeyingMetrics(registry) }),
  ];
  const metrics = createWorkerMetrics(
    registry,
    workers.map(({ name }) => name),
  );
  const started = workers.map((worker) => startWorker({ ...worker, metrics, log }));
  return {
    metrics,
    finish: () => linker.finish(),
    async [Symbol.asyncDispose]() {
      await Promise.all(started.map((worker) => worker[Symbol.asyncDispose]()));
    },
  };
}
