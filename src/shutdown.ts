/** When a process that was told to end stops to be polite, and when it goes. Milliseconds. */
interface ShutdownTimes {
  /** The cut-off, from the beginning. */
  readonly cutOffMs: number;
  /** The same, while a part is at work that others outside wait for. */
  readonly patientCutOffMs: number;
  /** From the cut-off to the end of the process. */
  readonly leaveMs: number;
}

/**
 * A process ends within 10 s of being told to (docs/telemetry.md), unless callers still wait for their answers: those have
 * 25 s, as Kubernetes kills after 30 s. What is cut off has 3 s more, 1 for passes that do not heed their signal and 2 for
 * giving the Lease back, and the last 2 s are air for a busy machine. A request that only waits for the database is answered
 * after 5 s, so an outage keeps nobody longer.
 */
const TIMES: ShutdownTimes = { cutOffMs: 5_000, patientCutOffMs: 25_000, leaveMs: 3_000 };

interface ShutdownLog {
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
}

/** The one deadline by which all parts of a process end. Disposing stops its clock. */
export interface Shutdown extends Disposable {
  /** Fires when nothing is waited for any more: whatever a part still waits for has to be broken off. */
  readonly cutOff: AbortSignal;
  /** Settles when the process goes whatever is left of it: rejects with the failure that it ends for, if it is one. */
  readonly over: Promise<void>;
  /** Starts the clock. Only the first call counts. */
  begin(failure?: unknown): void;
  /**
   * The same part, of which the log says when it has to be cut off or left behind. While one that is `patient` ends, the
   * cut-off waits, for itself and all others.
   */
  named(name: string, part: AsyncDisposable, options?: { readonly patient: boolean }): AsyncDisposable;
}

/** The clock does not run before `begin`. */
export function createShutdown(log: ShutdownLog, times: ShutdownTimes = TIMES): Shutdown {
  const cutOff = new AbortController();
  const over = Promise.withResolvers<void>();
  // Whoever runs the parts listens as well, but perhaps not yet.
  over.promise.catch(() => undefined);
  const ending = new Set<string>();
  const patient = new Set<string>();
  const timers: NodeJS.Timeout[] = [];
  /** Of the cut-off, once it is due. */
  let due: { readonly failure: unknown } | undefined;

  // Before anything ends, what is waited for is something at the start.
  const parts = (): string[] => (ending.size > 0 ? [...ending] : ["start"]);
  const leave = (failure: unknown): void => {
    log.error({ parts: parts() }, "these parts have not ended; the process ends without them");
    if (failure === undefined) over.resolve();
    else over.reject(failure);
  };
  const cut = (failure: unknown): void => {
    if (cutOff.signal.aborted) return;
    log.warn({ parts: parts() }, "what these parts still waited for is cut off");
    cutOff.abort();
    timers.push(setTimeout(leave, times.leaveMs, failure));
  };
  const cutIfDue = (): void => {
    if (due && patient.size === 0) cut(due.failure);
  };
  return {
    cutOff: cutOff.signal,
    over: over.promise,
    begin(failure) {
      if (timers.length > 0) return;
      const beDue = (): void => {
        due = { failure };
        cutIfDue();
      };
      timers.push(setTimeout(beDue, times.cutOffMs), setTimeout(cut, times.patientCutOffMs, failure));
    },
    named: (name, part, options) => ({
      async [Symbol.asyncDispose]() {
        ending.add(name);
        if (options?.patient === true) patient.add(name);
        await part[Symbol.asyncDispose]();
        ending.delete(name);
        if (patient.delete(name)) cutIfDue();
      },
    }),
    [Symbol.dispose]() {
      for (const timer of timers) clearTimeout(timer);
    },
  };
}
