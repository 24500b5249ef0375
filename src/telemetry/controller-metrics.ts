import { Counter, Gauge, Histogram, type MetricsRegistry } from "./prometheus.ts";

/** How a reconcile ended, in the words of controller-runtime's `result` label. */
export type ReconcileResult = "success" | "requeue" | "requeue_after" | "error";

const RESULTS: readonly ReconcileResult[] = ["success", "requeue", "requeue_after", "error"];

/** controller-runtime's bounds in seconds, so that quantiles of stock boards mean the same. */
const RECONCILE_SECONDS = [
  0.005, 0.01, 0.025, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.45, 0.5, 0.6, 0.7, 0.8, 0.9, 1, 1.25, 1.5, 1.75, 2,
  2.5, 3, 3.5, 4, 4.5, 5, 6, 7, 8, 9, 10, 15, 20, 25, 30, 40, 50, 60,
];

/** Numbers of one controller's reconciles. */
export interface ReconcileMetrics {
  /** A worker took a key; the function that comes back says how it ended. `terminal`: only an edit helps, no retry follows. */
  started(): (result: ReconcileResult, terminal?: boolean) => void;
}

/**
 * The metrics that any controller-runtime operator has, one set for a process: `reconciles(name)` once for each
 * controller. Everything countable stands at 0 from the start, so that a rate over the first event is seen.
 */
export function createControllerMetrics(registry: MetricsRegistry): {
  reconciles(controller: string, concurrency: number): ReconcileMetrics;
  /** 1 while this process holds the Lease of that name, else 0. */
  leader(lease: string): { set(leads: boolean): void };
} {
  const registers = [registry];
  const labelNames = ["controller"] as const;
  const total = new Counter({
    name: "controller_runtime_reconcile_total",
    help: "Reconciles by controller and result.",
    labelNames: ["controller", "result"],
    registers,
  });
  const errors = new Counter({
    name: "controller_runtime_reconcile_errors_total",
    help: "Reconciles that ended in an error and are retried with back-off.",
    labelNames,
    registers,
  });
  const terminalErrors = new Counter({
    name: "controller_runtime_terminal_reconcile_errors_total",
    help: "Reconciles that ended in an error which only an edit can mend (condition Stalled).",
    labelNames,
    registers,
  });
  const seconds = new Histogram({
    name: "controller_runtime_reconcile_time_seconds",
    help: "Duration of a reconcile in seconds.",
    labelNames,
    buckets: RECONCILE_SECONDS,
    registers,
  });
  const concurrencyGauge = new Gauge({
    name: "controller_runtime_max_concurrent_reconciles",
    help: "Reconciles of a controller that may run at the same time.",
    labelNames,
    registers,
  });
  const active = new Gauge({
    name: "controller_runtime_active_workers",
    help: "Reconciles that run now.",
    labelNames,
    registers,
  });
  const leader = new Gauge({
    name: "leader_election_master_status",
    help: "1 while this process holds the Lease, else 0.",
    labelNames: ["name"],
    registers,
  });

  return {
    reconciles(controller, concurrency) {
      for (const result of RESULTS) total.inc({ controller, result }, 0);
      errors.inc({ controller }, 0);
      terminalErrors.inc({ controller }, 0);
      seconds.zero({ controller });
      concurrencyGauge.set({ controller }, concurrency);
      active.set({ controller }, 0);
      return {
        started() {
          const startedAt = performance.now();
          active.inc({ controller });
          return (result, terminal = false) => {
            active.dec({ controller });
            seconds.observe({ controller }, (performance.now() - startedAt) / 1_000);
            total.inc({ controller, result });
            if (result === "error") errors.inc({ controller });
            if (terminal) terminalErrors.inc({ controller });
          };
        },
      };
    },
    leader(lease) {
      leader.set({ name: lease }, 0);
      return { set: (leads) => leader.set({ name: lease }, leads ? 1 : 0) };
    },
  };
}
