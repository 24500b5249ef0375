import { setTimeout as delay } from "node:timers/promises";
import { callsOfController } from "./support/audit-log.ts";
import { startController } from "./support/controller-process.ts";
import { cpuSeconds } from "./support/cpu-time.ts";
import { whenIdle } from "./support/idle.ts";
import { progress } from "./support/progress.ts";
import { rowWrites, writesSince } from "./support/row-writes.ts";
import { POPULATION } from "./support/session.ts";
import { startStatementProxy } from "./support/statement-proxy.ts";
import type { Findings, Table } from "./support/table.ts";

/** What a start leaves behind, such as events that are written with a delay, is no part of the steady state. */
const SETTLE_MS = 10_000;

/** The health check of the database. */
const PING = "select 1";

export const steady: Table = {
  name: "steady",
  title: `Steady state with ${POPULATION.toLocaleString("en")} Connections`,
  async run(session): Promise<Findings> {
    const { steadyMinutes } = session;
    const arena = await session.settledArena();
    await using proxy = await startStatementProxy(arena.database.url);
    const writesBefore = await rowWrites(arena.database.ownerUrl);
    const controller = await startController(arena, { environment: { DATABASE_URL: proxy.url } });
    await whenIdle(controller, arena.admin);
    await delay(SETTLE_MS);
    progress(`watching an idle controller for ${steadyMinutes} minutes`);
    const since = Date.now();
    const cpuBefore = cpuSeconds(controller.child.pid);
    const statementsBefore = proxy.statements().length;
    await delay(steadyMinutes * 60_000);
    const cpu = cpuSeconds(controller.child.pid) - cpuBefore;
    const statements = proxy.statements().slice(statementsBefore);
    const calls = await callsOfController(arena.auditLog, since);
    const { now } = controller.memory();
    await controller.child.stop();
    const { kept, own } = writesSince(writesBefore, await rowWrites(arena.database.ownerUrl));

    const leases = calls.filter(({ resource }) => resource === "leases").length;
    const watches = calls.filter(({ verb }) => verb === "watch").length;
    return {
      rows: [
        ["in", `${steadyMinutes} minutes`],
        ["renewals of the Lease", String(leases)],
        ["renewals of watches", String(watches)],
        ["other calls to the API server", String(calls.length - leases - watches)],
        ["health checks of the database", String(statements.filter((sql) => sql === PING).length)],
        ["other statements in the database", String(statements.filter((sql) => sql !== PING).length)],
        ["rows about the process itself: its reign, the encryption key it has configured", String(own)],
        ["CPU of the controller", `${((cpu / (steadyMinutes * 60)) * 100).toFixed(2)} % of a core`],
        ["RSS at the end", `${now.toFixed(1)} MB`],
      ],
      checks: [
        {
          what: "API calls but renewals of Lease and watches",
          measured: calls.length - leases - watches,
          limit: { atMost: 0 },
          unit: "",
        },
        { what: "rows written in the database", measured: kept, limit: { atMost: 0 }, unit: "" },
      ],
      method: ["Calls are counted from the API server's audit log, statements by a proxy in front of Postgres."],
    };
  },
};
