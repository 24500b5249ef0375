import { metricsOf, type MetricsRegistry } from "./prometheus.ts";

/** Bounds in seconds: a turn that finds nothing to do takes milliseconds, one that purges a million rows minutes. */
const TURN_SECONDS = [0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10, 60, 300, 1_800];

/** What workers tell while they work; the one in workers/ has the same shape. */
export interface WorkerMetrics {
  started(worker: string): (result: "success" | "error") => void;
}

/** Turns of all workers of a process. `workers` are known beforehand, so that all stand at 0. */
export function createWorkerMetrics(registry: MetricsRegistry, workers: readonly string[]): WorkerMetrics {
  const { counter, histogram } = metricsOf(registry);
  const turns = counter("keystead_worker_runs_total", "Turns of a worker by how they ended.", ["worker", "result"]);
  const seconds = histogram(
    "keystead_worker_run_duration_seconds",
    "Duration of a worker's turn in seconds.",
    ["worker"],
    TURN_SECONDS,
  );
  for (const worker of workers) {
    for (const result of ["success", "error"]) turns.inc({ worker, result }, 0);
    seconds.zero({ worker });
  }
  return {
    started(worker) {
      const startedAt = performance.now();
      return (result) => {
        turns.inc({ worker, result });
        seconds.observe({ worker }, (performance.now() - startedAt) / 1_000);
      };
    },
  };
}
