import { metricsOf, type MetricsRegistry } from "./prometheus.ts";

/** controller-runtime's bounds in seconds: powers of ten, since a queue is either empty or far behind. */
const QUEUE_SECONDS = [1e-8, 1e-7, 1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 0.1, 1, 10, 100, 1_000];

/** What a work queue tells while it works; the one in kube/ has the same shape. */
export interface QueueMetrics {
  added(queue: string): void;
  retried(queue: string): void;
  started(queue: string, queuedSeconds: number): void;
  finished(queue: string, workedSeconds: number): void;
  /** Reads the gauges of a queue from now on, whenever somebody scrapes. */
  observe(queue: string, source: QueueStateSource): void;
}

/** State of a queue at a moment. */
export interface QueueState {
  readonly changed: number;
  readonly resync: number;
  readonly unfinishedSeconds: number;
  readonly longestRunSeconds: number;
}

interface QueueStateSource {
  snapshot(): QueueState;
}

/** The metrics that client-go has of its work queues. A queue belongs to the controller of its name. */
export function createQueueMetrics(registry: MetricsRegistry, queues: readonly string[]): QueueMetrics {
  const { counter, histogram } = metricsOf(registry);
  const labelNames = ["name", "controller"] as const;
  const adds = counter("workqueue_adds_total", "Keys that were put in line.", labelNames);
  const retries = counter("workqueue_retries_total", "Keys that are tried again after an error.", labelNames);
  const queued = histogram("workqueue_queue_duration_seconds", "Time in line in seconds.", labelNames, QUEUE_SECONDS);
  const worked = histogram(
    "workqueue_work_duration_seconds",
    "Duration of a run in seconds.",
    labelNames,
    QUEUE_SECONDS,
  );
  const sources = new Map<string, QueueStateSource>();
  registerGauges(registry, sources);

  for (const queue of queues) {
    adds.inc(labelsOf(queue), 0);
    retries.inc(labelsOf(queue), 0);
    queued.zero(labelsOf(queue));
    worked.zero(labelsOf(queue));
  }
  return {
    added: (queue) => adds.inc(labelsOf(queue)),
    retried: (queue) => retries.inc(labelsOf(queue)),
    started: (queue, seconds) => queued.observe(labelsOf(queue), seconds),
    finished: (queue, seconds) => worked.observe(labelsOf(queue), seconds),
    observe: (queue, source) => void sources.set(queue, source),
  };
}

function registerGauges(registry: MetricsRegistry, sources: ReadonlyMap<string, QueueStateSource>): void {
  const { gauge } = metricsOf(registry);
  const labelNames = ["name", "controller"] as const;
  gauge("workqueue_depth", "Keys in line, by priority.", [...labelNames, "priority"], (metric) => {
    for (const [queue, source] of sources) {
      const { changed, resync } = source.snapshot();
      metric.set({ ...labelsOf(queue), priority: "changed" }, changed);
      metric.set({ ...labelsOf(queue), priority: "resync" }, resync);
    }
  });
  gauge(
    "workqueue_unfinished_work_seconds",
    "Seconds that the present runs have taken so far, summed.",
    labelNames,
    (metric) => {
      for (const [queue, source] of sources) metric.set(labelsOf(queue), source.snapshot().unfinishedSeconds);
    },
  );
  gauge(
    "workqueue_longest_running_processor_seconds",
    "Seconds that the longest present run has taken so far.",
    labelNames,
    (metric) => {
      for (const [queue, source] of sources) metric.set(labelsOf(queue), source.snapshot().longestRunSeconds);
    },
  );
}

function labelsOf(queue: string): { name: string; controller: string } {
  return { name: queue, controller: queue };
}
