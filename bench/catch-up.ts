import { setTimeout as delay } from "node:timers/promises";
import type { Arena } from "./support/arena.ts";
import { callsOfController, countCalls, WRITE_VERBS, type AuditedCall } from "./support/audit-log.ts";
import { settledPasses, startController, whenMetrics } from "./support/controller-process.ts";
import { runFloor } from "./support/floor-task.ts";
import { median, sum } from "./support/measure.ts";
import {
  createConnections,
  createNamespace,
  createParents,
  isReady,
  listConnections,
  namesOf,
  releaseConnections,
  removeConnections,
} from "./support/population.ts";
import { progress } from "./support/progress.ts";
import type { Findings, Table } from "./support/table.ts";

const SIZES = [2_000, 10_000];

/** One hiccup of the machine would decide a single one. */
const ROUNDS = 3;

/** Idle time before memory is read, as in the table of the memory. */
const IDLE_MS = 10_000;

const POLL = { everyMs: 100, deadlineMs: 300_000 };

interface Round {
  /** Objects a second of the bare loop. */
  readonly floor: number;
  /** Connections a second, from the start of the controller's process until the last is Ready. */
  readonly ours: number;
  /** Calls of the controller to the API server in that time. */
  readonly calls: readonly AuditedCall[];
  /** RSS of the controller some idle seconds later, and the most it had; MB. */
  readonly now: number;
  readonly peak: number;
}

export const catchUp: Table = {
  name: "catch-up",
  title: "Catching up: Connections that wait when the controller starts",
  async run(session): Promise<Findings> {
    await using arena = await session.freshArena();
    const rows = [
      [
        "Connections",
        "bare loop, objects/s",
        "Keystead, Ready/s",
        "ratio",
        "writes each",
        "GETs of its Secret",
        "RSS, MB",
        "RSS at most",
      ],
    ];
    const checks = [];
    for (const objects of SIZES) {
      const results: Round[] = [];
      for (let round = 0; round < ROUNDS; round += 1) results.push(await measure(arena, objects, round));
      const ratio = median(results.map(({ ours, floor }) => ours / floor));
      const writes = Math.max(...results.map(({ calls }) => writesEach(calls, objects)));
      const gets = Math.max(...results.map(({ calls }) => mostGetsOfOneSecret(calls)));
      const resident = Math.max(...results.map(({ now }) => now));
      rows.push([
        objects.toLocaleString("en"),
        median(results.map(({ floor }) => floor)).toFixed(0),
        median(results.map(({ ours }) => ours)).toFixed(0),
        ratio.toFixed(2),
        writes.toFixed(3),
        String(gets),
        resident.toFixed(1),
        Math.max(...results.map(({ peak }) => peak)).toFixed(1),
      ]);
      const of = `${objects.toLocaleString("en")} Connections`;
      checks.push(
        { what: `${of}: Ready a second against the bare loop`, measured: ratio, limit: { atLeast: 0.75 }, unit: "x" },
        { what: `${of}: writes to the API for each`, measured: writes, limit: { atMost: 2 }, unit: "" },
        { what: `${of}: GETs of one Secret`, measured: gets, limit: { atMost: 1 }, unit: "" },
        {
          what: `${of}: RSS of the controller that made them Ready`,
          measured: resident,
          limit: { under: 120 },
          unit: " MB",
        },
      );
    }
    return { rows, checks, method: METHOD };
  },
};

const METHOD = [
  "Every Connection has a Secret of its own with a token of 1,000 characters.",
  "The bare loop is a process of its own with the same client and identity, 32 calls in flight: for each object it gets the Secret, adds the finalizer, and writes the status; half of its objects come before Keystead's turn and half after.",
  "Keystead's time begins with the start of its process, so it holds the start of Node, the login at the database, the Lease and all lists; it ends when the last Connection is Ready.",
  `Calls are counted from the API server's audit log; RSS is read ${IDLE_MS / 1_000} s after the last is Ready.`,
  `Median of ${ROUNDS} rounds of each size.`,
];

async function measure(arena: Arena, objects: number, round: number): Promise<Round> {
  const name = `catch-up-${objects}-${round}`;
  progress(`${objects} Connections, round ${round + 1}: bare loop, Keystead, bare loop`);
  const before = await floorOf(arena, `${name}-before`, objects / 2);
  const { seconds, calls, now, peak } = await oursOf(arena, name, objects);
  const after = await floorOf(arena, `${name}-after`, objects / 2);
  return { floor: objects / sum([before, after]), ours: objects / seconds, calls, now, peak };
}

/** Seconds of the bare loop for that many objects, which are gone again afterwards. */
async function floorOf(arena: Arena, namespace: string, objects: number): Promise<number> {
  await createNamespace(arena.admin, namespace);
  await createConnections(arena.admin, namespace, namesOf("floor", objects));
  await settle();
  const { milliseconds } = await runFloor(arena, namespace);
  await removeConnections(arena.admin, namespace);
  return milliseconds / 1_000;
}

/** Keystead's turn: seconds, and what it called. The Connections are gone again afterwards. */
async function oursOf(arena: Arena, namespace: string, objects: number) {
  await createNamespace(arena.admin, namespace);
  await createParents(arena.admin, namespace);
  await createConnections(arena.admin, namespace, namesOf("waiting", objects));
  await settle();
  const since = Date.now();
  const controller = await startController(arena);
  const endedAt = await whenMetrics(controller, (metrics) => settledPasses(metrics) >= objects, POLL);
  await delay(IDLE_MS);
  const { now, peak } = controller.memory();
  progress(`  all Ready; the controller holds ${now.toFixed(0)} MB, at most ${peak.toFixed(0)} MB`);
  const connections = await listConnections(arena.admin, namespace);
  const ready = connections.filter((connection) => isReady(connection)).length;
  if (ready !== objects) throw new Error(`${ready} of ${objects} Connections are Ready`);
  const calls = await callsOfController(arena.auditLog, since);
  await releaseConnections(arena.admin, namespace);
  await controller.child.stop();
  return { seconds: (endedAt - controller.startedAt) / 1_000, calls, now, peak };
}

/** Servers still work for a moment on what they were just given. */
async function settle(): Promise<void> {
  await delay(2_000);
}

function writesEach(calls: readonly AuditedCall[], objects: number): number {
  const resources = ["connections", "connections/status", "events"];
  return sum(resources.map((resource) => countCalls(calls, resource, ...WRITE_VERBS))) / objects;
}

function mostGetsOfOneSecret(calls: readonly AuditedCall[]): number {
  const reads = calls.filter(({ resource, verb }) => resource === "secrets" && verb === "get");
  const bySecret = Map.groupBy(reads, ({ namespace, name }) => `${namespace}/${name}`);
  // The Secret that an Environment's keys are written to is no Connection's.
  return Math.max(0, ...[...bySecret].filter(([key]) => key.includes("/waiting-")).map(([, gets]) => gets.length));
}
