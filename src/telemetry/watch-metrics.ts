import { metricsOf, type MetricsRegistry } from "./prometheus.ts";

/** Bounds in seconds: 1,000 objects are listed in about 0.1 s, 100,000 in ten. */
const LIST_SECONDS = [0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60];

/** What a reflector tells while it works; the one in kube/ has the same shape. */
export interface WatchMetrics {
  listed(kind: string, held: number, seconds: number): void;
  watchEnded(kind: string, reason: string): void;
  received(kind: string, type: string): void;
}

/**
 * Lists and watches of all kinds that a process follows. `kinds` are known beforehand, so that all stand at 0.
 *
 * @param now milliseconds of a steady clock
 */
export function createWatchMetrics(
  registry: MetricsRegistry,
  kinds: readonly string[],
  now: () => number = () => performance.now(),
): WatchMetrics {
  const { counter, gauge, histogram } = metricsOf(registry);
  const held = gauge("keystead_watch_listed_objects", "Objects that were kept of the last complete state.", ["kind"]);
  const lists = histogram(
    "keystead_watch_list_duration_seconds",
    "Duration of reading a complete state in seconds.",
    ["kind"],
    LIST_SECONDS,
  );
  const restarts = counter("keystead_watch_restarts_total", "Watches that ended, by reason.", ["kind", "reason"]);
  const events = counter("keystead_watch_events_total", "Watch events that arrived, bookmarks among them.", [
    "kind",
    "type",
  ]);
  const heardAt = new Map<string, number>();
  gauge("keystead_watch_last_event_age_seconds", "Seconds since anything of the kind arrived.", ["kind"], (age) => {
    for (const [kind, at] of heardAt) age.set({ kind }, (now() - at) / 1_000);
  });

  for (const kind of kinds) {
    held.set({ kind }, 0);
    lists.zero({ kind });
    restarts.inc({ kind, reason: "closed" }, 0);
    for (const type of ["ADDED", "MODIFIED", "DELETED", "BOOKMARK"]) events.inc({ kind, type }, 0);
  }
  return {
    listed(kind, count, seconds) {
      heardAt.set(kind, now());
      held.set({ kind }, count);
      lists.observe({ kind }, seconds);
    },
    watchEnded: (kind, reason) => restarts.inc({ kind, reason }),
    received(kind, type) {
      heardAt.set(kind, now());
      events.inc({ kind, type });
    },
  };
}
