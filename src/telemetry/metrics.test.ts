import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import type { KubeClientMetrics } from "../kube/client.ts";
import type { SweepMetrics } from "../controllers/sweep.ts";
import type { EventRecorderMetrics } from "../kube/event-recorder.ts";
import type { LeaderElectionMetrics } from "../kube/leader-election.ts";
import type { ReflectorMetrics } from "../kube/reflector-position.ts";
import type { WorkQueueMetrics } from "../kube/work-queue.ts";
import type { PurgeMetrics } from "../workers/purger.ts";
import type { WrappingProgress } from "../vault/wrap-data-keys.ts";
import type { RekeyingMetrics } from "../workers/rekeyer.ts";
import type { WorkerMetrics } from "../workers/worker.ts";
import { createApiMetrics } from "./api-metrics.ts";
import { createControllerMetrics } from "./controller-metrics.ts";
import { createKubeClientMetrics } from "./kube-metrics.ts";
import { createPurgeMetrics } from "./purge-metrics.ts";
import { createQueueMetrics } from "./queue-metrics.ts";
import { createSweepMetrics } from "./sweep-metrics.ts";
import { createRegistry } from "./registry.ts";
import { createRekeyingMetrics, createWrappingMetrics } from "./rekeying-metrics.ts";
import { createWatchMetrics } from "./watch-metrics.ts";
import { createWorkerMetrics } from "./worker-metrics.ts";

/** Every metric of every process in one registry. The runtime declares what it tells; each part here takes it. */
function everything(now?: () => number) {
  const registry = createRegistry({ version: "1.2.3" });
  const controller = createControllerMetrics(registry) satisfies EventRecorderMetrics & LeaderElectionMetrics;
  const queues = createQueueMetrics(registry, ["connection"]) satisfies WorkQueueMetrics;
  const watches = createWatchMetrics(registry, ["Connection"], now) satisfies ReflectorMetrics;
  const sweep = createSweepMetrics(registry) satisfies SweepMetrics;
  const kube = createKubeClientMetrics(registry, "10.96.0.1:443") satisfies KubeClientMetrics;
  const api = createApiMetrics(registry);
  createWrappingMetrics(registry) satisfies WrappingProgress;
  createRekeyingMetrics(registry) satisfies RekeyingMetrics;
  const workers = createWorkerMetrics(registry, ["purger"]) satisfies WorkerMetrics;
  const purges = createPurgeMetrics(registry) satisfies PurgeMetrics;
  return { registry, controller, queues, watches, sweep, kube, api, workers, purges };
}

function byName(a: { name: string }, b: { name: string }): number {
  return a.name.localeCompare(b.name);
}

/** Value of the series with these labels, as a scraper reads it. */
async function valueOf(
  { registry }: Pick<ReturnType<typeof everything>, "registry">,
  series: string,
): Promise<number | undefined> {
  const line = (await registry.metrics()).split("\n").find((one) => one.startsWith(`${series} `));
  return line === undefined ? undefined : Number(line.slice(series.length + 1));
}

test("docs/telemetry.md lists every metric with its type and labels, and no other", async () => {
  const page = readFileSync(new URL("../../docs/telemetry.md", import.meta.url), "utf8");
  const documented = [...page.matchAll(/^\| `([a-z_]+)` \| (counter|gauge|histogram) \| (.*?) \|/gm)].map(
    ([, name = "", type = "", labels = ""]) => ({
      name,
      type,
      labels: [...labels.matchAll(/`(\w+)`/g)].map(([, label]) => label),
    }),
  );
  const registered = everything()
    .registry.getMetricsAsArray()
    .map((metric) => ({
      name: metric.name,
      // The package's own types leave out what its objects carry.
      type: Reflect.get(metric, "constructor").name.toLowerCase(),
      labels: Reflect.get(metric, "labelNames"),
    }));
  expect(documented.toSorted(byName)).toEqual(registered.toSorted(byName));
});

test("names end in the unit, and counters in _total", async () => {
  const metrics = await everything().registry.getMetricsAsJSON();
  for (const { name, help, type } of metrics) {
    expect(help, name).toMatch(/^[A-Z01].{10,}\.$/);
    expect(name.endsWith("_total"), name).toBe(String(type) === "counter");
    if (String(type) === "histogram") expect(name).toMatch(/_seconds$/);
  }
});

test("everything countable stands at 0 before it happens, so that the first time is seen", async () => {
  const metrics = everything();
  metrics.controller.reconciles("connection", 32);
  for (const series of [
    'controller_runtime_reconcile_total{controller="connection",result="error"}',
    'controller_runtime_reconcile_errors_total{controller="connection"}',
    'controller_runtime_reconcile_time_seconds_count{controller="connection"}',
    'workqueue_adds_total{name="connection",controller="connection"}',
    'keystead_watch_restarts_total{kind="Connection",reason="closed"}',
    'keystead_kubernetes_events_total{outcome="lost"}',
    'keystead_api_authentication_failures_total{code="unknown_account"}',
    'rest_client_requests_total{code="200",method="GET",host="10.96.0.1:443"}',
    'keystead_worker_runs_total{worker="purger",result="error"}',
    'keystead_purged_rows_total{kind="connection"}',
  ]) {
    expect(await valueOf(metrics, series), series).toBe(0);
  }
});

test("a reconcile is counted by how it ended, and is active in between", async () => {
  const metrics = everything();
  const reconciles = metrics.controller.reconciles("connection", 32);
  const [ended, failed] = [reconciles.started(), reconciles.started()];
  expect(await valueOf(metrics, 'controller_runtime_active_workers{controller="connection"}')).toBe(2);
  ended("success");
  failed("error");
  reconciles.started()("success", true);
  const count = (series: string) => valueOf(metrics, `controller_runtime_${series}`);
  expect(await count('active_workers{controller="connection"}')).toBe(0);
  expect(await count('reconcile_total{controller="connection",result="success"}')).toBe(2);
  expect(await count('reconcile_errors_total{controller="connection"}')).toBe(1);
  expect(await count('terminal_reconcile_errors_total{controller="connection"}')).toBe(1);
  expect(await count('reconcile_time_seconds_count{controller="connection"}')).toBe(3);
});

test("the gauges of a queue are read when somebody scrapes", async () => {
  const metrics = everything();
  let state = { changed: 1, resync: 2, unfinishedSeconds: 3, longestRunSeconds: 4 };
  metrics.queues.observe("connection", { snapshot: () => state });
  const labels = 'name="connection",controller="connection"';
  expect(await valueOf(metrics, `workqueue_depth{${labels},priority="resync"}`)).toBe(2);
  state = { ...state, resync: 0 };
  expect(await valueOf(metrics, `workqueue_depth{${labels},priority="resync"}`)).toBe(0);
  expect(await valueOf(metrics, `workqueue_unfinished_work_seconds{${labels}}`)).toBe(3);
  expect(await valueOf(metrics, `workqueue_longest_running_processor_seconds{${labels}}`)).toBe(4);
});

test("the age of a watch begins again with whatever arrives", async () => {
  let now = 1_000;
  const metrics = everything(() => now);
  const age = () => valueOf(metrics, 'keystead_watch_last_event_age_seconds{kind="Connection"}');
  expect(await age()).toBeUndefined();
  metrics.watches.received("Connection", "BOOKMARK");
  now += 7_000;
  expect(await age()).toBe(7);
  metrics.watches.listed("Connection", 7, 0.2);
  expect(await age()).toBe(0);
  expect(await valueOf(metrics, 'keystead_watch_listed_objects{kind="Connection"}')).toBe(7);
});

test("the busy part of the event loop is that since the last scrape", async () => {
  const metrics = everything();
  await metrics.registry.metrics();
  const value = await valueOf(metrics, "nodejs_eventloop_utilization");
  expect(value).toBeGreaterThanOrEqual(0);
  expect(value).toBeLessThanOrEqual(1);
  expect(await valueOf(metrics, "process_resident_memory_bytes")).toBeGreaterThan(10_000_000);
  expect(await valueOf(metrics, "process_cpu_seconds_total")).toBeGreaterThan(0);
});
