import { readdirSync } from "node:fs";
import { metricsOf, newRegistry, type MetricsRegistry } from "./prometheus.ts";

/**
 * A registry with the gauges that stock boards read of any process, under the names of Prometheus's own clients. Values
 * are taken when somebody asks: the usual default set of Node keeps an event loop sampler and a garbage collection
 * observer running in between, which here would be the busiest thing in an idle controller.
 */
export function createRegistry(options: { version: string }): MetricsRegistry {
  const registry = newRegistry();
  const { counter, gauge } = metricsOf(registry);
  const startedAt = Date.now() / 1_000 - process.uptime();

  counter("process_cpu_seconds_total", "CPU time of user and system mode, in seconds.", [], (metric) => {
    const { user, system } = process.cpuUsage();
    metric.reset();
    metric.inc((user + system) / 1e6);
  });
  const read = (name: string, help: string, value: () => number) =>
    gauge(name, help, [], (metric) => metric.set(value()));
  read("process_resident_memory_bytes", "Resident memory, in bytes.", () => process.memoryUsage.rss());
  read("process_start_time_seconds", "Start of the process, in seconds since 1970.", () => startedAt);
  read("process_open_fds", "Open file descriptors.", openFiles);
  read(
    "nodejs_heap_size_used_bytes",
    "Used part of the JavaScript heap, in bytes.",
    () => process.memoryUsage().heapUsed,
  );
  read(
    "nodejs_external_memory_bytes",
    "Memory of buffers outside the heap, in bytes.",
    () => process.memoryUsage().external,
  );
  read(
    "nodejs_eventloop_utilization",
    "Part of the time since the last scrape in which the event loop was busy, 0 to 1.",
    utilization(),
  );

  const labelNames = ["version", "node"] as const;
  const build = gauge("keystead_build_info", "Always 1; the labels say which version runs.", labelNames);
  build.set({ version: options.version, node: process.version }, 1);
  return registry;
}

/** Measures from one call to the next. */
function utilization(): () => number {
  let before = performance.eventLoopUtilization();
  return () => {
    const now = performance.eventLoopUtilization();
    const difference = performance.eventLoopUtilization(now, before);
    before = now;
    return difference.utilization;
  };
}

function openFiles(): number {
  try {
    return readdirSync("/proc/self/fd").length;
  } catch {
    // Only Linux lists them; on a developer's other machine the gauge says 0.
    return 0;
  }
}
