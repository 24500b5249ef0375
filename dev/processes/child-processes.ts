import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { KeysteadError } from "../../src/errors.ts";
import { startChild } from "./child-process.ts";
import type { Child, ChildOptions } from "./child-process.ts";
import { startGuardian } from "./guardian.ts";
import { identify } from "./process-identity.ts";
import { writeRecord } from "./process-record.ts";
import type { RecordedProcess } from "./process-record.ts";

/** The children of one directory: started, recorded, watched, and ended together, phase by phase. */
export interface ChildProcesses extends AsyncDisposable {
  /** Throws `part_failed` when the program is missing. */
  start(options: ChildOptions): Child;
}

interface Running {
  readonly phase: number;
  /** Undefined for a child that ended before it could be identified. */
  readonly recorded: RecordedProcess | undefined;
}

/**
 * @param directory holds the record of processes, and their logs in `logs/`.
 * @param scratch whether nobody needs the directory once this process is gone: the guardian then removes it.
 */
export function createChildProcesses(directory: string, scratch = false): ChildProcesses {
  const logs = join(directory, "logs");
  mkdirSync(logs, { recursive: true, mode: 0o700 });
  const guardian = startGuardian(scratch ? directory : "");
  const running = new Map<Child, Running>();
  let closed = false;
  const record = (): void => {
    const recorded = [...running.values()].map((entry) => entry.recorded);
    writeRecord(
      directory,
      recorded.filter((process) => process !== undefined),
    );
  };
  const forgetWhenEnded = async (child: Child): Promise<void> => {
    await child.ended;
    guardian.forget(child.pid);
    running.delete(child);
    try {
      record();
    } catch {
      // The disk is full or the directory was removed: the old record stays, and its start times keep strangers safe.
    }
  };

  return {
    start(options) {
      // A start that goes on in the background after the end was decided must not leave a child behind.
      if (closed)
        throw new KeysteadError("part_failed", `${options.name} is not started any more: everything is being ended.`);
      const child = startChild(logs, options);
      const { name, stopSignal = "SIGTERM", stopPhase = 0 } = options;
      const identity = identify(child.pid);
      running.set(child, { phase: stopPhase, recorded: identity && { ...identity, name, stopSignal } });
      guardian.watch(child.pid, stopSignal);
      record();
      void forgetWhenEnded(child);
      return child;
    },
    async [Symbol.asyncDispose]() {
      closed = true;
      while (running.size > 0) {
        const last = Math.max(...[...running.values()].map((entry) => entry.phase));
        const children = [...running].filter(([, entry]) => entry.phase === last);
        await Promise.all(children.map(([child]) => child.stop()));
        for (const [child] of children) running.delete(child);
      }
      guardian.release();
    },
  };
}
