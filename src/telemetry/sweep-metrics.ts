import { metricsOf, type MetricsRegistry } from "./prometheus.ts";

/** What the sweep tells while it works; the one in controllers/ has the same shape. */
export interface SweepMetrics {
  found(orphans: number, stopped: boolean): void;
  deleted(): void;
}

/** Rows whose resource went without its finalizer. */
export function createSweepMetrics(registry: MetricsRegistry): SweepMetrics {
  const { counter, gauge } = metricsOf(registry);
  const rows = gauge("keystead_orphaned_rows", "Rows whose resource the last sweep did not find.", []);
  const stopped = gauge(
    "keystead_orphan_sweep_stopped",
    "1 while a sweep found too many orphans at once and waits to be confirmed, else 0.",
    [],
  );
  const deleted = counter("keystead_orphaned_rows_deleted_total", "Orphaned rows that a sweep soft-deleted.", []);
  rows.set({}, 0);
  stopped.set({}, 0);
  deleted.inc({}, 0);
  return {
    found(orphans, isStopped) {
      rows.set({}, orphans);
      stopped.set({}, isStopped ? 1 : 0);
    },
    deleted: () => deleted.inc({}),
  };
}
