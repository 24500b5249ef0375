import { setTimeout as delay } from "node:timers/promises";
import { callsOfController, WRITE_VERBS } from "./support/audit-log.ts";
import { settledPasses, startController, whenMetrics } from "./support/controller-process.ts";
import { isListed } from "./support/idle.ts";
import { median } from "./support/measure.ts";
import type { Metrics } from "./support/metrics.ts";
import { progress } from "./support/progress.ts";
import { type RowWrites, rowWrites, writesSince } from "./support/row-writes.ts";
import { POPULATION } from "./support/session.ts";
import { startStatementProxy } from "./support/statement-proxy.ts";
import type { Arena } from "./support/arena.ts";
import type { Findings, Table } from "./support/table.ts";

const ROUNDS = 3;
const POLL = { everyMs: 25, deadlineMs: 120_000 };

/** A reign began, and perhaps a minute has passed since somebody last noted the configured encryption key. */
const OWN_ROWS = 2;

/** The parents of the population. */
const PARENTS = 2;

interface Restart {
  readonly apiWrites: number;
  readonly apiReads: number;
  readonly rowWrites: RowWrites["kept"];
  readonly ownRowWrites: RowWrites["own"];
  readonly statements: number;
  /** Those of a controller with nothing to look after in as long a time: of its start and of its workers. */
  readonly statementsOfStart: number;
  /** Milliseconds from the start of the process until everything is listed, and from then until nothing is left to do. */
  readonly listed: number;
  readonly idle: number;
}

export const restart: Table = {
  name: "restart",
  title: `Restart with ${POPULATION.toLocaleString("en")} settled Connections`,
  async run(session): Promise<Findings> {
    const arena = await session.settledArena();
    const results: Restart[] = [];
    for (let round = 0; round < ROUNDS; round += 1) {
      progress(`restart ${round + 1} of ${ROUNDS}`);
      results.push(await measure(arena));
    }
    const worst = (figure: keyof Restart): number => Math.max(...results.map((result) => result[figure]));
    return {
      rows: [
        ["", "median", "worst"],
        ...(["listed", "idle"] as const).map((figure) => [
          figure === "listed" ? "start of the process to the end of the last list" : "end of the last list to idle",
          `${median(results.map((result) => result[figure])).toFixed(0)} ms`,
          `${worst(figure).toFixed(0)} ms`,
        ]),
        [
          "statements in the database",
          String(median(results.map(({ statements }) => statements))),
          String(worst("statements")),
        ],
        [
          "in the same time with nothing to look after",
          String(median(results.map(({ statementsOfStart }) => statementsOfStart))),
          String(worst("statementsOfStart")),
        ],
        [
          "objects read one by one from the API server",
          String(median(results.map(({ apiReads }) => apiReads))),
          String(worst("apiReads")),
        ],
      ],
      checks: [
        { what: "writes to the API", measured: worst("apiWrites"), limit: { atMost: 0 }, unit: "" },
        { what: "rows written in the database", measured: worst("rowWrites"), limit: { atMost: 0 }, unit: "" },
        {
          what: "rows about the process itself",
          measured: worst("ownRowWrites"),
          limit: { atMost: OWN_ROWS },
          unit: "",
        },
        { what: "idle after the last list page", measured: worst("idle") / 1_000, limit: { atMost: 3 }, unit: " s" },
        {
          what: "statements in the database per 500 objects, without those of the start",
          measured:
            (Math.max(...results.map((result) => result.statements - result.statementsOfStart)) * 500) / POPULATION,
          limit: { atMost: 1 },
          unit: "",
        },
      ],
      method: [
        `Worst of ${ROUNDS} restarts. Calls are counted from the API server's audit log, without those for the Lease; rows from Postgres' own counters, those of audit events and their chain among them, but for what a process writes about itself: a row for its reign, and at most once a minute one for the encryption key that it has configured; statements by a proxy in front of it, those of health checks and of the workers among them. Those of the start are what a controller sends in the same time that watches an empty namespace: the workers ask at fixed intervals, however much there is to look after.`,
      ],
    };
  },
};

async function measure(arena: Arena): Promise<Restart> {
  const { ownerUrl, url } = arena.database;
  const before = await rowWrites(ownerUrl);
  await using proxy = await startStatementProxy(url);
  const since = Date.now();
  const controller = await startController(arena, { environment: { DATABASE_URL: proxy.url } });
  const listedAt = await whenMetrics(controller, isListed, POLL);
  const idleAt = await whenMetrics(controller, (metrics) => passes(metrics) >= POPULATION + PARENTS, POLL);
  const statements = proxy.statements().length;
  await controller.child.stop();
  const calls = (await callsOfController(arena.auditLog, since)).filter(({ resource }) => resource !== "leases");
  const { kept, own } = writesSince(before, await rowWrites(ownerUrl));
  const statementsOfStart = await statementsOfAnIdleStart(arena, idleAt - controller.startedAt);
  return {
    apiWrites: calls.filter(({ verb }) => WRITE_VERBS.includes(verb)).length,
    apiReads: calls.filter(({ verb }) => verb === "get").length,
    rowWrites: kept,
    ownRowWrites: own,
    statements,
    statementsOfStart,
    listed: listedAt - controller.startedAt,
    idle: idleAt - listedAt,
  };
}

/** Statements of a controller that has nothing to look after, in so many milliseconds from its start. */
async function statementsOfAnIdleStart(arena: Arena, milliseconds: number): Promise<number> {
  await using proxy = await startStatementProxy(arena.database.url);
  const environment = { DATABASE_URL: proxy.url, KEYSTEAD_WATCH_NAMESPACES: "default" };
  const controller = await startController(arena, { environment });
  await whenMetrics(controller, isListed, POLL);
  await delay(Math.max(0, controller.startedAt + milliseconds - performance.now()));
  const statements = proxy.statements().length;
  await controller.child.stop();
  return statements;
}

function passes(metrics: Metrics): number {
  const others = ["environment", "integration"].map((controller) =>
    metrics.total("controller_runtime_reconcile_total", { controller, result: "success" }),
  );
  return others.reduce((total, one) => total + one, settledPasses(metrics));
}
