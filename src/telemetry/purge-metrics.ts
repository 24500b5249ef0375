import { metricsOf, type MetricsRegistry } from "./prometheus.ts";

const KINDS = ["environment", "integration", "connection"] as const;

/** What the purger tells; the one in workers/ has the same shape. */
export interface PurgeMetrics {
  purged(kind: (typeof KINDS)[number], rows: number): void;
  upcoming(counts: {
    readonly environments: number;
    readonly integrations: number;
    readonly connections: number;
  }): void;
}

/** Purges of one process. Kinds are all that is told apart: a name or an id would outlive in a series what was purged. */
export function createPurgeMetrics(registry: MetricsRegistry): PurgeMetrics {
  const { counter, gauge } = metricsOf(registry);
  const rows = counter("keystead_purged_rows_total", "Rows that this process removed for good, by kind.", ["kind"]);
  const upcoming = gauge(
    "keystead_purge_upcoming_rows",
    "Soft-deleted rows whose retention ends within the next 7 days, by kind, counted at each turn; at most 50000.",
    ["kind"],
  );
  for (const kind of KINDS) rows.inc({ kind }, 0);
  return {
    purged: (kind, count) => rows.inc({ kind }, count),
    upcoming({ environments, integrations, connections }) {
      upcoming.set({ kind: "environment" }, environments);
      upcoming.set({ kind: "integration" }, integrations);
      upcoming.set({ kind: "connection" }, connections);
    },
  };
}
