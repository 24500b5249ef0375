import { setTimeout as delay } from "node:timers/promises";
import type { Arena } from "./support/arena.ts";
import { settledPasses, startController, whenMetrics } from "./support/controller-process.ts";
import { median } from "./support/measure.ts";
import {
  createConnection,
  createNamespace,
  createParents,
  createSecret,
  releaseConnections,
} from "./support/population.ts";
import { progress } from "./support/progress.ts";
import { watchReady } from "./support/ready-watch.ts";
import { POPULATION } from "./support/session.ts";
import type { Findings, Table } from "./support/table.ts";

const NAMESPACE = "newcomers";

/** Pause between two newcomers: long enough that each meets the catch-up alone, short enough for many of them. */
const PAUSE_MS = 700;

/** Newcomers only come while at least so many still wait, so that every one of them meets the crowd. */
const CROWD = 1_000;

const POLL = { everyMs: 100, deadlineMs: 300_000 };

export const newcomer: Table = {
  name: "newcomer",
  title: `One new Connection while ${POPULATION.toLocaleString("en")} catch up`,
  async run(session): Promise<Findings> {
    const arena = await session.waitingArena();
    progress("new Connections during a catch-up");
    const waits = await measure(arena);
    return {
      rows: [
        ["new Connections", "median", "worst"],
        [String(waits.length), `${median(waits).toFixed(0)} ms`, `${Math.max(...waits).toFixed(0)} ms`],
      ],
      checks: [
        { what: "create to Ready, the worst", measured: Math.max(...waits) / 1_000, limit: { under: 1 }, unit: " s" },
        { what: "new Connections that were measured", measured: waits.length, limit: { atLeast: 5 }, unit: "" },
      ],
      method: [
        `One new Connection after another, ${PAUSE_MS} ms apart, from the first Ready of the catch-up until ${CROWD.toLocaleString("en")} are left; from sending the create until a watch shows it Ready.`,
      ],
    };
  },
};

/** Milliseconds that each new Connection took. Ends when everything is Ready and the controller is ended again. */
async function measure({ admin, ...arena }: Arena): Promise<number[]> {
  await createNamespace(admin, NAMESPACE);
  await createParents(admin, NAMESPACE);
  await using watch = await watchReady(admin, NAMESPACE);
  const controller = await startController({ admin, ...arena });
  await whenMetrics(controller, (metrics) => settledPasses(metrics) > 0, POLL);
  const waits: number[] = [];
  for (;;) {
    const name = `newcomer-${waits.length}`;
    await createSecret(admin, NAMESPACE, name);
    const sentAt = performance.now();
    await createConnection(admin, NAMESPACE, name);
    waits.push((await watch.whenReady(name)) - sentAt);
    const metrics = await controller.metrics();
    if (metrics && settledPasses(metrics) > POPULATION - CROWD) break;
    await delay(PAUSE_MS);
  }
  await whenMetrics(controller, (metrics) => settledPasses(metrics) >= POPULATION + waits.length, POLL);
  await releaseConnections(admin, NAMESPACE);
  await controller.child.stop();
  return waits;
}
