import { KeysteadError } from "../errors.ts";

/** Who goes first when all connections are busy. `urgent` is for what a person or the lease waits for. */
export type CallPriority = "urgent" | "normal";

/** Bounded number of calls at one time, with two waiting lines in front. */
export interface CallSlots {
  /**
   * Resolves when the caller may go; undefined instead of a promise when it may go at once, which saves a turn of the event
   * loop per call. Rejects with `kube_call_aborted` when `signal` fires first, and with `kube_timeout` at `deadlineAt`
   * (`performance.now()` milliseconds). Each slot that was granted must be released.
   */
  acquire(priority: CallPriority, deadlineAt: number, signal?: AbortSignal): Promise<void> | undefined;
  release(priority: CallPriority): void;
  waiting(): number;
}

interface Waiter {
  readonly grant: () => void;
  /** Left its line by an abort; skipped when its turn comes, which is cheaper than cutting it out of the middle. */
  gone: boolean;
}

/**
 * `reserved` of the slots are never given to normal calls: behind an API server that takes two seconds for a call, an
 * urgent one would otherwise wait until one of the slow ones ends.
 */
export function createCallSlots(total: number, reserved: number): CallSlots {
  const lines: Record<CallPriority, Waiter[]> = { urgent: [], normal: [] };
  let used = 0;
  let usedByNormal = 0;

  const hasRoom = (priority: CallPriority): boolean =>
    used < total && (priority === "urgent" || usedByNormal < total - reserved);

  const take = (priority: CallPriority): void => {
    used += 1;
    if (priority === "normal") usedByNormal += 1;
  };

  const next = (priority: CallPriority): Waiter | undefined => {
    const line = lines[priority];
    for (let waiter = line.shift(); waiter !== undefined; waiter = line.shift()) {
      if (!waiter.gone) return waiter;
    }
    return undefined;
  };

  const hand = (priority: CallPriority): boolean => {
    if (!hasRoom(priority)) return false;
    const waiter = next(priority);
    if (waiter === undefined) return false;
    take(priority);
    waiter.grant();
    return true;
  };

  return {
    acquire(priority, deadlineAt, signal) {
      if (signal?.aborted === true) return Promise.reject(aborted(signal));
      if (lines[priority].length === 0 && hasRoom(priority)) {
        take(priority);
        return undefined;
      }
      return new Promise<void>((resolve, reject) => {
        const leave = (error: KeysteadError): void => {
          waiter.gone = true;
          end();
          reject(error);
        };
        const abort = (): void => leave(aborted(signal));
        const timer = setTimeout(() => leave(tooBusy()), deadlineAt - performance.now());
        const end = (): void => {
          clearTimeout(timer);
          signal?.removeEventListener("abort", abort);
        };
        const waiter: Waiter = {
          gone: false,
          grant: () => {
            end();
            resolve();
          },
        };
        signal?.addEventListener("abort", abort, { once: true });
        lines[priority].push(waiter);
      });
    },
    release(priority) {
      used -= 1;
      if (priority === "normal") usedByNormal -= 1;
      if (!hand("urgent")) hand("normal");
    },
    waiting: () => lines.urgent.length + lines.normal.length,
  };
}

/** The error of a call whose caller gave up; the reason of the signal is its cause. */
export function aborted(signal: AbortSignal | undefined): KeysteadError {
  return new KeysteadError("kube_call_aborted", "The call was given up before the API server answered", {
    cause: signal?.reason,
  });
}

function tooBusy(): KeysteadError {
  return new KeysteadError(
    "kube_timeout",
    "All connections to the API server were busy until the call's time was over",
  );
}
