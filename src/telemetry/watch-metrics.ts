import { Counter, Gauge, Histogram, type MetricsRegistry } from "./prometheus.ts";

/** Bounds in seconds: 1,000 objects are listed in about 0.1 s, 100,000 in ten. */
const LIST_SECONDS = [0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60];

/** What a reflector tells while it works; the one in kube/ has the same shape. */
export interface WatchMetrics {
  listed(kind: string, held: number, seconds: number): void;
  watchEnded(kind: string, reason: string): void;
  received(kind: string, type: string): void;
}

/** Lists and watches of all kinds that a process follows. `kinds` are known beforehand, so that all stand at 0. */
export function createWatchMetrics(registry: MetricsRegistry, kinds: readonly string[]): WatchMetrics {
  const registers = [registry];
  const labelNames = ["kind"] as const;
  const heldObjects = new Gauge({
    name: "keystead_watch_listed_objects",
    help: "Objects that were kept of the last complete state.",
    labelNames,
    registers,
  });
  const lists = new Histogram({
    name: "keystead_watch_list_duration_seconds",
    help: "Duration of reading a complete state in seconds; its count says how often that was needed.",
    labelNames,
    buckets: LIST_SECONDS,
    registers,
  });
  const restarts = new Counter({
    name: "keystead_watch_restarts_total",
    help: "Watches that ended: closed by the server in good order, or with an error code.",
    labelNames: ["kind", "reason"],
    registers,
  });
  const events = new Counter({
    name: "keystead_watch_events_total",
    help: "Watch events that arrived, bookmarks among them.",
    labelNames: ["kind", "type"],
    registers,
  });
  const heardAt = new Map<string, number>();
  const age: { set(labels: { kind: string }, value: number): void } = new Gauge({
    name: "keystead_watch_last_event_age_seconds",
    help: "Seconds since anything of the kind arrived; the server sends a bookmark about once a minute.",
    labelNames,
    registers,
    collect() {
      const now = performance.now();
      for (const [kind, at] of heardAt) age.set({ kind }, (now - at) / 1_000);
    },
  });

  for (const kind of kinds) {
    heldObjects.set({ kind }, 0);
    lists.zero({ kind });
    restarts.inc({ kind, reason: "closed" }, 0);
    for (const type of ["ADDED", "MODIFIED", "DELETED", "BOOKMARK"]) events.inc({ kind, type }, 0);
  }
  return {
    listed(kind, held, seconds) {
      heardAt.set(kind, performance.now());
      heldObjects.set({ kind }, held);
      lists.observe({ kind }, seconds);
    },
    watchEnded: (kind, reason) => restarts.inc({ kind, reason }),
    received(kind, type) {
      heardAt.set(kind, performance.now());
      events.inc({ kind, type });
    },
  };
}
