import type { Vault } from "../vault/context.ts";
import type { WorkerOptions } from "./worker.ts";

/** Days are made a week ahead, so that an hour is little. */
const INTERVAL_MS = 3_600_000;

/** Sees to it that there is a partition for the audit events of today and of the days to come. */
export function createAuditKeeper({
  database,
}: Pick<Vault, "database">): Pick<WorkerOptions, "name" | "intervalMs" | "run"> {
  return {
    name: "audit-keeper",
    intervalMs: INTERVAL_MS,
    async run() {
      await database.query("select keystead.prepare_audit_days()");
    },
  };
}
