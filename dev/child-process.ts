import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { closeSync, openSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { setTimeout as delay } from "node:timers/promises";
import { KeysteadError } from "../src/errors.ts";
import { startGuardian } from "./guardian.ts";
import { identify } from "./process-identity.ts";
import { writeRecord } from "./process-record.ts";
import type { RecordedProcess, StopSignal } from "./process-record.ts";

export interface ChildOptions {
  readonly name: string;
  readonly command: string;
  readonly args: readonly string[];
  readonly env?: NodeJS.ProcessEnv;
  readonly cwd?: string;
  readonly uid?: number;
  readonly gid?: number;
  /** What asks this program to end in order. Postgres: SIGINT ends sessions, SIGTERM waits for them. */
  readonly stopSignal?: StopSignal;
  /** Gets each line of output; without it the output goes to `<name>.log` only. */
  readonly onLine?: (line: string) => void;
}

/** How a child ended; `wanted` when `stop` was called before. */
export interface ChildEnd {
  readonly exitCode: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly wanted: boolean;
}

export interface Child {
  readonly name: string;
  readonly pid: number;
  readonly logFile: string;
  /** Resolves once, never rejects. */
  readonly ended: Promise<ChildEnd>;
  /** Asks the child to end, kills it after 5 s, resolves when it is gone. Calling it again waits for the same end. */
  stop(): Promise<void>;
}

/** The children of one directory: started, recorded, watched, and ended together in reverse order. */
export interface ChildProcesses extends AsyncDisposable {
  start(options: ChildOptions): Child;
}

/** A child that does not end by its own signal in this time is killed; two of them still fit into the 10 s of `npm start`. */
const STOP_GRACE_MS = 4_000;

/**
 * @param directory holds the record of processes and their logs.
 * @param scratch whether nobody needs the directory once this process is gone: the guardian then removes it.
 */
export function createChildProcesses(directory: string, scratch = false): ChildProcesses {
  const guardian = startGuardian(scratch ? directory : "");
  const running = new Map<Child, RecordedProcess | undefined>();
  const record = (): void => {
    const recorded = [...running.values()].filter((process) => process !== undefined);
    writeRecord(directory, recorded);
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
      const stopSignal = options.stopSignal ?? "SIGTERM";
      const child = startChild(directory, options, stopSignal);
      const identity = identify(child.pid);
      running.set(child, identity && { ...identity, name: child.name, stopSignal });
      guardian.watch(child.pid, stopSignal);
      record();
      void forgetWhenEnded(child);
      return child;
    },
    async [Symbol.asyncDispose]() {
      for (const child of [...running.keys()].toReversed()) await child.stop();
      guardian.release();
    },
  };
}

/** The last lines a child wrote: what it said before it ended is the best error message there is. */
export function lastLines(child: Child, count = 5): string {
  return readFileSync(child.logFile, "utf8").trimEnd().split("\n").slice(-count).join("\n");
}

function startChild(directory: string, options: ChildOptions, stopSignal: StopSignal): Child {
  const logFile = join(directory, `${options.name}.log`);
  const log = openSync(logFile, "a", 0o600);
  const spawned = spawn(options.command, options.args, {
    env: options.env ?? process.env,
    cwd: options.cwd ?? "/",
    // A process group of its own: Ctrl-C in a terminal reaches only this process, which then ends the parts in order.
    detached: true,
    stdio: options.onLine ? ["ignore", "pipe", "pipe"] : ["ignore", log, log],
    ...(options.uid === undefined ? {} : { uid: options.uid }),
    ...(options.gid === undefined ? {} : { gid: options.gid }),
  });
  closeSync(log);
  if (options.onLine) passLines(spawned, options.onLine);

  let wanted = false;
  const ended = endOf(spawned, () => wanted);
  if (spawned.pid === undefined) {
    throw new KeysteadError(
      "part_failed",
      `${options.name} could not be started: ${options.command} is missing or cannot be run.`,
    );
  }
  return {
    name: options.name,
    pid: spawned.pid,
    logFile,
    ended,
    async stop() {
      wanted = true;
      if (spawned.exitCode !== null || spawned.signalCode !== null) return;
      spawned.kill(stopSignal);
      const stopTimer = new AbortController();
      const late = delay(STOP_GRACE_MS, "late", { signal: stopTimer.signal }).catch(() => "ended");
      if ((await Promise.race([ended, late])) === "late") spawned.kill("SIGKILL");
      stopTimer.abort();
      await ended;
    },
  };
}

function endOf(spawned: ChildProcess, wanted: () => boolean): Promise<ChildEnd> {
  return new Promise((resolve) => {
    // "close" comes after the last output; a command that cannot be started only gives "error".
    spawned.once("close", (exitCode, signal) => resolve({ exitCode, signal, wanted: wanted() }));
    spawned.once("error", () => resolve({ exitCode: null, signal: null, wanted: wanted() }));
  });
}

function passLines(spawned: ChildProcess, onLine: (line: string) => void): void {
  for (const stream of [spawned.stdout, spawned.stderr]) {
    if (stream) createInterface({ input: stream }).on("line", onLine);
  }
}
