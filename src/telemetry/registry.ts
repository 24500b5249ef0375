import { readdirSync } from "node:fs";
import { Counter, Gauge, Registry, type MetricsCounter, type MetricsRegistry } from "./prometheus.ts";

/**
 * A registry with the gauges that stock boards read of any process, under the names of Prometheus's own clients. Values
 * are taken when somebody asks: the usual default set of Node keeps an event loop sampler and a garbage collection
 * observer running in between, which here would be the busiest thing in an idle controller.
 */
export function createRegistry(options: { version: string; startedAt?: Date }): MetricsRegistry {
  const registry = new Registry();
  const startedAt = options.startedAt ?? new Date(Date.now() - process.uptime() * 1_000);
  const gauge = (name: string, help: string, read: () => number) =>
    new Gauge({
      name,
      help,
      registers: [registry],
      collect() {
        this.set(read());
      },
    });

  const cpu: MetricsCounter = new Counter({
    name: "process_cpu_seconds_total",
    help: "CPU time of user and system mode, in seconds.",
    registers: [],
    collect() {
      const { user, system } = process.cpuUsage();
      cpu.reset();
      cpu.inc((user + system) / 1e6);
    },
  });
  registry.registerMetric(cpu);
  gauge("process_resident_memory_bytes", "Resident memory, in bytes.", () => process.memoryUsage.rss());
  gauge(
    "process_start_time_seconds",
    "Start of the process, in seconds since 1970.",
    () => startedAt.getTime() / 1_000,
  );
  gauge("process_open_fds", "Open file descriptors.", openFiles);
  gauge(
    "nodejs_heap_size_used_bytes",
    "Used part of the JavaScript heap, in bytes.",
    () => process.memoryUsage().heapUsed,
  );
  gauge(
    "nodejs_external_memory_bytes",
    "Memory of buffers outside the heap, in bytes.",
    () => process.memoryUsage().external,
  );

  let before = performance.eventLoopUtilization();
  gauge(
    "nodejs_eventloop_utilization",
    "Part of the time since the last scrape in which the event loop was busy, 0 to 1.",
    () => {
      const now = performance.eventLoopUtilization();
      const { utilization } = performance.eventLoopUtilization(now, before);
      before = now;
      return utilization;
    },
  );
  new Gauge({
    name: "keystead_build_info",
    help: "Always 1; the labels say which version runs.",
    labelNames: ["version", "node"],
    registers: [registry],
  }).set({ version: options.version, node: process.version }, 1);
  return registry;
}

/** Linux lists them; elsewhere (a developer's machine) the gauge says 0. */
function openFiles(): number {
  try {
    return readdirSync("/proc/self/fd").length;
  } catch {
    return 0;
  }
}
