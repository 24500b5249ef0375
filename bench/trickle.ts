import { setTimeout as delay } from "node:timers/promises";
import type { Arena } from "./support/arena.ts";
import { startController } from "./support/controller-process.ts";
import { runFloor } from "./support/floor-task.ts";
import { whenIdle } from "./support/idle.ts";
import { quantile } from "./support/measure.ts";
import {
  createConnection,
  createConnections,
  createNamespace,
  createParents,
  createSecret,
  namesOf,
  releaseConnections,
  removeConnections,
} from "./support/population.ts";
import { progress } from "./support/progress.ts";
import { watchReady } from "./support/ready-watch.ts";
import { POPULATION } from "./support/session.ts";
import type { Findings, Table } from "./support/table.ts";

/** Rounds of the bare loop and of new Connections in turn, so that whatever else the machine does meets both. */
const ROUNDS = 3;
const FLOOR_OBJECTS = 200;
const CONNECTIONS = 200;
/** Ten a second. */
const EVERY_MS = 100;

/** The first ones of a round find cold code in the process that was just started, as the bare loop's do. */
const WARM_UP = 20;

export const trickle: Table = {
  name: "trickle",
  title: "10 new Connections a second, create to Ready",
  async run(session): Promise<Findings> {
    const arena = await session.settledArena();
    const hurried: number[] = [];
    const floor: number[] = [];
    const ours: number[] = [];
    for (let round = 0; round < ROUNDS; round += 1) {
      progress(`bare loop and new Connections, round ${round + 1} of ${ROUNDS}`);
      hurried.push(...(await measureFloor(arena, `trickle-hurried-${round}`)));
      floor.push(...(await measureFloor(arena, `trickle-floor-${round}`, EVERY_MS)));
      ours.push(...(await measureOurs(arena, `trickle-${round}`)));
    }
    const ratio = (share: number): number => quantile(ours, share) / quantile(floor, share);
    return {
      rows: [
        ["", "samples", "p50", "p99", "max"],
        rowOf("bare loop, one after the other", hurried),
        rowOf("bare loop, ten a second", floor),
        rowOf("Keystead, create to Ready", ours),
      ],
      checks: [
        { what: "p50 against the bare loop at ten a second", measured: ratio(0.5), limit: { atMost: 2 }, unit: "x" },
        { what: "p99 against the bare loop at ten a second", measured: ratio(0.99), limit: { atMost: 4 }, unit: "x" },
      ],
      method: [
        `Beside ${POPULATION.toLocaleString("en")} settled Connections. From sending the create until a watch of another process shows it Ready; the Secret was there before.`,
        "The bare loop, a process of its own with the same client and identity, does one object after the other and nothing else: GET of the Secret, finalizer, commit of a row of the same size, status.",
        "It is compared at the pace of the new Connections: between two of them the processors of all servers fall asleep and their caches go to others, which costs whoever comes next the same. Without a pause it is faster, and for information.",
      ],
    };
  },
};

async function measureFloor(arena: Arena, namespace: string, everyMs?: number): Promise<readonly number[]> {
  await createNamespace(arena.admin, namespace);
  await createConnections(arena.admin, namespace, namesOf("floor", FLOOR_OBJECTS + WARM_UP));
  await delay(1_000);
  const { each } = await runFloor(arena, namespace, { commitTo: arena.database.ownerUrl, everyMs });
  await removeConnections(arena.admin, namespace);
  return each.slice(WARM_UP);
}

async function measureOurs(arena: Arena, namespace: string): Promise<readonly number[]> {
  const { admin } = arena;
  await createNamespace(admin, namespace);
  await createParents(admin, namespace);
  const names = namesOf("new", CONNECTIONS + WARM_UP);
  for (const name of names) await createSecret(admin, namespace, name);
  const controller = await startController(arena);
  await whenIdle(controller, admin);
  await using watch = await watchReady(admin, namespace);
  const begins = performance.now();
  const waits = await Promise.all(
    names.map(async (name, index) => {
      await delay(Math.max(0, begins + index * EVERY_MS - performance.now()));
      const sentAt = performance.now();
      await createConnection(admin, namespace, name);
      return (await watch.whenReady(name)) - sentAt;
    }),
  );
  await releaseConnections(admin, namespace);
  await controller.child.stop();
  return waits.slice(WARM_UP);
}

function rowOf(name: string, waits: readonly number[]): string[] {
  const figures = [quantile(waits, 0.5), quantile(waits, 0.99), quantile(waits, 1)];
  return [name, String(waits.length), ...figures.map((figure) => `${figure.toFixed(1)} ms`)];
}
