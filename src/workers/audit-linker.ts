import type { Vault } from "../vault/context.ts";
import { headText, linkAuditEvents } from "../vault/link-audit-events.ts";
import type { WorkerOptions } from "./worker.ts";

/** What the worker needs of its process. */
interface AuditLinkerDeps {
  readonly vault: Pick<Vault, "database" | "auditKeys">;
  readonly log: WorkerOptions["log"];
  /** Milliseconds; for tests. */
  readonly now?: () => number;
}

/** An event can be changed unnoticed for about as long as this. */
const INTERVAL_MS = 1_000;

/** Log lines of an installation in which something happens all the time: 1,440 a day from each process. */
const HEAD_INTERVAL_MS = 60_000;

/** The linker, as a worker, and what it does last of all in its process. */
export interface AuditLinker extends Pick<WorkerOptions, "name" | "intervalMs" | "firstWithinMs" | "run"> {
  /** Links what this process wrote last, once nothing in it writes any more. Failing is harmless: another process does it. */
  finish(): Promise<void>;
}

/**
 * Adds to the audit chain what was committed since the last turn, whoever wrote it: so it also goes on for a process that
 * crashed. The newest link is logged each minute, when it has changed: the log is where whoever owns the database cannot reach.
 */
export function createAuditLinker({ vault, log, now = Date.now }: AuditLinkerDeps): AuditLinker {
  let logged = "";
  let loggedAt = -Infinity;
  const turn = async (signal: AbortSignal | undefined, isLast: boolean): Promise<void> => {
    let linked = await linkAuditEvents(vault);
    while (linked.more && signal?.aborted !== true) linked = await linkAuditEvents(vault);
    const head = linked.head && headText(linked.head);
    if (head === undefined || head === logged || (!isLast && now() < loggedAt + HEAD_INTERVAL_MS)) return;
    log.info({ head }, "head of the audit chain");
    logged = head;
    loggedAt = now();
  };
  return {
    name: "audit-linker",
    intervalMs: INTERVAL_MS,
    firstWithinMs: INTERVAL_MS,
    run: (signal) => turn(signal, false),
    async finish() {
      try {
        await turn(undefined, true);
      } catch (error) {
        log.warn({ error }, "the last audit events of this process are left for another to link");
      }
    },
  };
}
