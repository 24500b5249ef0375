import type { Vault } from "../vault/context.ts";
import { type ChainHead, headText, linkAuditEvents } from "../vault/link-audit-events.ts";
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

/** Nobody breaks off the last turn; what it waits for is cut off with everything else. */
const NEVER = new AbortController().signal;

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
  const linkAll = async (signal: AbortSignal): Promise<ChainHead | undefined> => {
    for (;;) {
      const { more, head } = await linkAuditEvents(vault);
      if (!more || signal.aborted) return head;
    }
  };
  const turn = async (signal: AbortSignal, isLast: boolean): Promise<void> => {
    const newest = await linkAll(signal);
    const head = newest && headText(newest);
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
        await turn(NEVER, true);
      } catch (error) {
        log.warn({ error }, "the last audit events of this process are left for another to link");
      }
    },
  };
}
