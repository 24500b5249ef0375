import { metricsOf, type MetricsRegistry } from "./prometheus.ts";

/** How a reconcile ended, in the words of controller-runtime's `result` label. */
export type ReconcileResult = "success" | "requeue" | "requeue_after" | "error";

const RESULTS: readonly ReconcileResult[] = ["success", "requeue", "requeue_after", "error"];

/** An Event is sent as a new one, counted in the series of an earlier one, or lost. */
type EventOutcome = "sent" | "counted" | "lost";

const EVENT_OUTCOMES: readonly EventOutcome[] = ["sent", "counted", "lost"];

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

/** Numbers of a process that reconciles. */
export interface ControllerMetrics {
  /** Once for each controller, which may run `concurrency` reconciles at a time. */
  reconciles(controller: string, concurrency: number): ReconcileMetrics;
  /** Whether this process holds the Lease of that name. Call it once with false before it is known. */
  leading(lease: string, leads: boolean): void;
  /** What became of a Kubernetes Event. */
  recorded(outcome: EventOutcome): void;
}

/**
 * The metrics that any controller-runtime operator has, one set for a process. Everything countable stands at 0 from
 * the start, so that a rate over the first event is seen.
 */
export function createControllerMetrics(registry: MetricsRegistry): ControllerMetrics {
  const { counter, gauge } = metricsOf(registry);
  const leader = gauge("leader_election_master_status", "1 while this process holds the Lease, else 0.", ["name"]);
  const events = counter("keystead_kubernetes_events_total", "Kubernetes Events: sent, counted in a series, or lost.", [
    "outcome",
  ]);
  for (const outcome of EVENT_OUTCOMES) events.inc({ outcome }, 0);
  return {
    reconciles: createReconcileMetrics(registry),
    leading: (lease, leads) => leader.set({ name: lease }, leads ? 1 : 0),
    recorded: (outcome) => events.inc({ outcome }),
  };
}

function createReconcileMetrics(registry: MetricsRegistry): ControllerMetrics["reconciles"] {
  const { counter, gauge, histogram } = metricsOf(registry);
  const byController = ["controller"] as const;
  const total = counter("controller_runtime_reconcile_total", "Reconciles by controller and result.", [
    "controller",
    "result",
  ]);
  const errors = counter(
    "controller_runtime_reconcile_errors_total",
    "Reconciles that ended in an error and are retried.",
    byController,
  );
  const terminalErrors = counter(
    "controller_runtime_terminal_reconcile_errors_total",
    "Reconciles that only an edit can mend.",
    byController,
  );
  const seconds = histogram(
    "controller_runtime_reconcile_time_seconds",
    "Duration of a reconcile in seconds.",
    byController,
    RECONCILE_SECONDS,
  );
  const limit = gauge(
    "controller_runtime_max_concurrent_reconciles",
    "Reconciles that may run at the same time.",
    byController,
  );
  const active = gauge("controller_runtime_active_workers", "Reconciles that run now.", byController);

  return (controller, concurrency) => {
    for (const result of RESULTS) total.inc({ controller, result }, 0);
    errors.inc({ controller }, 0);
    terminalErrors.inc({ controller }, 0);
    seconds.zero({ controller });
    limit.set({ controller }, concurrency);
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
  };
}
