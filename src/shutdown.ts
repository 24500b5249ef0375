/** When a process that was told to end stops to be polite, and when it goes. Milliseconds. */
interface ShutdownTimes {
  readonly cutOffMs: number;
  readonly overMs: number;
}

/**
 * A process ends within 10 s of being told to (docs/telemetry.md): Kubernetes kills it after 30 s, and people do earlier.
 * Half of that is for what is under way to end by itself. What is cut off then has 3 s more, 1 for passes that do not
 * heed their signal and 2 for giving the Lease back, and the last 2 s are air for a busy machine.
 */
const TIMES: ShutdownTimes = { cutOffMs: 5_000, overMs: 8_000 };

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
  /** The same part, of which the log says when it has to be cut off or left behind. */
  named(name: string, part: AsyncDisposable): AsyncDisposable;
}

/** The clock does not run before `begin`. */
export function createShutdown(log: ShutdownLog, times: ShutdownTimes = TIMES): Shutdown {
  const cutOff = new AbortController();
  const over = Promise.withResolvers<void>();
  // Whoever runs the parts listens as well, but perhaps not yet.
  over.promise.catch(() => undefined);
  const ending = new Set<string>();
  const timers: NodeJS.Timeout[] = [];

  // Before anything ends, what is waited for is something at the start.
  const parts = (): string[] => (ending.size > 0 ? [...ending] : ["start"]);
  const cut = (): void => {
    log.warn({ parts: parts() }, "what these parts still waited for is cut off");
    cutOff.abort();
  };
  return {
    cutOff: cutOff.signal,
    over: over.promise,
    begin(failure) {
      if (timers.length > 0) return;
      const leave = (): void => {
        log.error({ parts: parts() }, "these parts have not ended; the process ends without them");
        if (failure === undefined) over.resolve();
        else over.reject(failure);
      };
      timers.push(setTimeout(cut, times.cutOffMs), setTimeout(leave, times.overMs));
    },
    named: (name, part) => ({
      async [Symbol.asyncDispose]() {
        ending.add(name);
        await part[Symbol.asyncDispose]();
        ending.delete(name);
      },
    }),
    [Symbol.dispose]() {
      for (const timer of timers) clearTimeout(timer);
    },
  };
}
