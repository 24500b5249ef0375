import type { Vault } from "../vault/context.ts";
import { dropAuditDays, prepareAuditDays } from "../vault/drop-audit-days.ts";
import type { WorkerOptions } from "./worker.ts";

/** What the worker needs of its process. */
interface AuditKeeperDeps {
  readonly vault: Pick<Vault, "database" | "auditKeys">;
  readonly log: WorkerOptions["log"];
}

/** Days are made a week ahead, so that an hour is little. */
const INTERVAL_MS = 3_600_000;

/** Makes the partitions of the days to come, and drops those whose retention has ended. */
export function createAuditKeeper({ vault, log }: AuditKeeperDeps): Pick<WorkerOptions, "name" | "intervalMs" | "run"> {
  return {
    name: "audit-keeper",
    intervalMs: INTERVAL_MS,
    async run() {
      await prepareAuditDays(vault);
      const days = await dropAuditDays(vault);
      if (days.length > 0) log.info({ days }, "audit events past their retention were dropped");
    },
  };
}
