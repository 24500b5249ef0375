import { randomBytes } from "node:crypto";
import { setTimeout as delay } from "node:timers/promises";
import type { Arena } from "./support/arena.ts";
import { settledPasses, startController, whenMetrics, type KeysteadProcess } from "./support/controller-process.ts";
import { GC_PROBE, memoryAfterGc, type MemoryAfterGc } from "./support/gc-probe.ts";
import { isListed } from "./support/idle.ts";
import { inParallel } from "./support/measure.ts";
import { createNamespace, createUnrelatedSecret, namesOf } from "./support/population.ts";
import { progress } from "./support/progress.ts";
import { POPULATION } from "./support/session.ts";
import type { Findings, Table } from "./support/table.ts";

const UNRELATED_SECRETS = 20_000;
const UNRELATED_BYTES = 32 * 1_024;
const UNRELATED_NAMESPACE = "unrelated";

/** Idle time before memory is read: what a busy start leaves behind is settled, and nothing is due in between. */
const IDLE_MS = 10_000;

const POLL = { everyMs: 100, deadlineMs: 120_000 };

export const memory: Table = {
  name: "memory",
  title: "Memory of the controller (emitted JavaScript, MB of 10^6 bytes)",
  async run(session): Promise<Findings> {
    await using empty = await session.freshArena();
    progress("memory with nothing to do");
    const none = await residentWhenIdle(empty, 0);
    progress(`memory beside ${UNRELATED_SECRETS} Secrets that nothing refers to`);
    const unrelated = await besideUnrelatedSecrets(empty);
    const settled = await session.settledArena();
    progress(`memory with ${POPULATION} Connections`);
    const many = await residentWhenIdle(settled, POPULATION);
    const connections = `${POPULATION.toLocaleString("en")} Connections`;
    const secrets = `${UNRELATED_SECRETS.toLocaleString("en")} unrelated Secrets of 32 KiB`;
    const otherwise = await residentWhenIdle(settled, POPULATION, { MALLOC_ARENA_MAX: "" });
    return {
      rows: [
        ["controller", "RSS", "RSS at most"],
        ["without Connections", megabytes(none.now), megabytes(none.peak)],
        [`with ${connections}`, megabytes(many.now), megabytes(many.peak)],
        [`the same without MALLOC_ARENA_MAX`, megabytes(otherwise.now), megabytes(otherwise.peak)],
        ["after garbage collections:", "of the last resort", "ordinary"],
        ["without Connections", megabytes(unrelated.before.rss), megabytes(unrelated.before.rssOrdinary)],
        [`the same after ${secrets} came`, megabytes(unrelated.after.rss), megabytes(unrelated.after.rssOrdinary)],
        ["started beside them", megabytes(unrelated.restarted.rss), megabytes(unrelated.restarted.rssOrdinary)],
      ],
      checks: [
        { what: "RSS without Connections", measured: none.now, limit: { under: 95 }, unit: " MB" },
        { what: `RSS with ${connections}`, measured: many.now, limit: { under: 120 }, unit: " MB" },
        {
          what: `growth by ${secrets} that come while it runs, after a garbage collection`,
          measured: unrelated.after.rss - unrelated.before.rss,
          limit: { under: 3 },
          unit: " MB",
        },
        {
          what: `heap and buffers more, when started beside ${secrets}, after a garbage collection`,
          measured: unrelated.restarted.used - unrelated.before.used,
          limit: { under: 3 },
          unit: " MB",
        },
      ],
      method: [
        `RSS as the kernel counts it, ${IDLE_MS / 1_000} s after the last pass, without any forced garbage collection from outside. The environment is the image's (\`MALLOC_ARENA_MAX=1\`).`,
        "For the last rows the process runs with --expose-gc and a preloaded handler that collects on a signal; the product has no such thing. Growth is judged after collections of the last resort (V8's word), because ordinary ones keep pages that they emptied.",
      ],
    };
  },
};

function megabytes(value: number): string {
  return value.toFixed(1);
}

/** Memory of a controller that has nothing left to do, which is ended afterwards. */
async function residentWhenIdle(
  arena: Arena,
  connections: number,
  environment: Readonly<Record<string, string>> = {},
): Promise<{ now: number; peak: number }> {
  const controller = await startController(arena, { environment });
  await idle(controller, connections);
  const memoryNow = controller.memory();
  await controller.child.stop();
  return memoryNow;
}

async function idle(controller: KeysteadProcess, connections: number): Promise<void> {
  await whenMetrics(controller, (metrics) => isListed(metrics) && settledPasses(metrics) >= connections, POLL);
  await delay(IDLE_MS);
}

interface Unrelated {
  readonly before: MemoryAfterGc;
  readonly after: MemoryAfterGc;
  readonly restarted: MemoryAfterGc;
}

async function besideUnrelatedSecrets(arena: Arena): Promise<Unrelated> {
  const running = await startController(arena, { nodeArguments: GC_PROBE });
  await idle(running, 0);
  const before = await memoryAfterGc(running.child);
  await createNamespace(arena.admin, UNRELATED_NAMESPACE);
  await inParallel(namesOf("unrelated", UNRELATED_SECRETS), 16, (name) =>
    createUnrelatedSecret(arena.admin, UNRELATED_NAMESPACE, name, randomBytes(UNRELATED_BYTES)),
  );
  await delay(IDLE_MS);
  const after = await memoryAfterGc(running.child);
  await running.child.stop();

  const second = await startController(arena, { nodeArguments: GC_PROBE });
  await idle(second, 0);
  const restarted = await memoryAfterGc(second.child);
  await second.child.stop();
  return { before, after, restarted };
}
