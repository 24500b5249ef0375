import { setTimeout as delay } from "node:timers/promises";
import { lastLines, type Child } from "../../dev/processes/child-process.ts";
import { freePorts } from "../../dev/processes/free-port.ts";
import { KeysteadError } from "../../src/errors.ts";
import type { Arena } from "./arena.ts";
import { EMITTED_MAIN, IMAGE_ENVIRONMENT, nodeArguments } from "./emitted.ts";
import { readMetrics, type Metrics } from "./metrics.ts";
import { residentMemory, type ResidentMemory } from "./resident-memory.ts";

/** The emitted program as a process of its own. */
export interface KeysteadProcess {
  readonly child: Child;
  /** `performance.now()` just before the process was made. */
  readonly startedAt: number;
  /** Throws `part_failed` once the process has ended; undefined while it does not serve them yet. */
  metrics(): Promise<Metrics | undefined>;
  memory(): ResidentMemory;
}

export interface ControllerOptions {
  /** Arguments for node itself, before the program. */
  readonly nodeArguments?: readonly string[];
  readonly environment?: NodeJS.ProcessEnv;
}

/** Starts `keystead controller` with its default settings under the chart's ServiceAccount. */
export async function startController(arena: Arena, options: ControllerOptions = {}): Promise<KeysteadProcess> {
  const [port = 0] = await freePorts(1);
  const startedAt = performance.now();
  const child = arena.children.start({
    name: "controller",
    command: process.execPath,
    args: [...nodeArguments(), ...(options.nodeArguments ?? []), EMITTED_MAIN, "controller"],
    env: { ...IMAGE_ENVIRONMENT, ...arena.environment, ...options.environment, KEYSTEAD_METRICS_PORT: String(port) },
    stopPhase: 2,
  });
  let ended = false;
  // oxlint-disable-next-line promise/always-return -- nobody waits for this
  void child.ended.then(() => {
    ended = true;
  });
  return {
    child,
    startedAt,
    async metrics() {
      if (ended) throw new KeysteadError("part_failed", `The controller ended. It said:\n${lastLines(child)}`);
      return readMetrics(`http://127.0.0.1:${port}/metrics`);
    },
    memory: () => residentMemory(child.pid),
  };
}

/** Polls until `holds` and resolves with the `performance.now()` at which it did. Throws `part_failed` after `deadlineMs`. */
export async function whenMetrics(
  controller: KeysteadProcess,
  holds: (metrics: Metrics) => boolean,
  { everyMs, deadlineMs }: { readonly everyMs: number; readonly deadlineMs: number },
): Promise<number> {
  for (const giveUpAt = performance.now() + deadlineMs; performance.now() < giveUpAt;) {
    const now = await controller.metrics();
    if (now && holds(now)) return performance.now();
    await delay(everyMs);
  }
  const waited = `The controller did not get there within ${deadlineMs / 1_000} s`;
  throw new KeysteadError("part_failed", `${waited}. It said:\n${lastLines(controller.child)}`);
}

/** Passes over Connections that ended well. */
export function settledPasses(metrics: Metrics): number {
  return metrics.total("controller_runtime_reconcile_total", { controller: "connection", result: "success" });
}
