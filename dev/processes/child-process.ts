import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { appendFileSync, closeSync, existsSync, openSync, readFileSync, renameSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { setTimeout as delay } from "node:timers/promises";
import { KeysteadError } from "../../src/errors.ts";
import type { StopSignal } from "./process-record.ts";

/** What is started, and how it is ended. */
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
  /** Ended together with those of the same phase, after those of a higher one. 0 by default. */
  readonly stopPhase?: number;
  /** Gets each line of output as well; the log file has it in any case. */
  readonly onLine?: (line: string) => void;
}

/** How a child ended; `wanted` when `stop` was called before. */
export interface ChildEnd {
  readonly exitCode: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly wanted: boolean;
}

/** A running program. */
export interface Child {
  readonly name: string;
  readonly pid: number;
  readonly logFile: string;
  /** Resolves once, never rejects. */
  readonly ended: Promise<ChildEnd>;
  /** Asks the child to end, kills it after 3 s, resolves when it is gone. Calling it again waits for the same end. */
  stop(): Promise<void>;
}

/** A child that does not end by its own signal in this time is killed: three phases of it fit into the 10 s that `npm start` has. */
const STOP_GRACE_MS = 3_000;

/** Starts the program with its output in `<name>.log` of the folder; the log of the run before is kept beside it. */
export function startChild(logs: string, options: ChildOptions): Child {
  const logFile = join(logs, `${options.name}.log`);
  if (existsSync(logFile)) renameSync(logFile, join(logs, `${options.name}.previous.log`));
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
  if (options.onLine) passLines(spawned, logFile, options.onLine);

  let wanted = false;
  const ended = endOf(spawned, () => wanted);
  const { pid } = spawned;
  if (pid === undefined) {
    throw new KeysteadError(
      "part_failed",
      `${options.name} cannot be started: ${options.command} is missing or cannot be run.`,
    );
  }
  return {
    name: options.name,
    pid,
    logFile,
    ended,
    async stop() {
      wanted = true;
      if (spawned.exitCode !== null || spawned.signalCode !== null) return;
      spawned.kill(options.stopSignal ?? "SIGTERM");
      const timer = new AbortController();
      if ((await Promise.race([ended, isLate(timer.signal)])) === true) spawned.kill("SIGKILL");
      timer.abort();
      await ended;
    },
  };
}

/** The last lines a child wrote: what it said before it ended is the best error message there is. */
export function lastLines(child: Child, count = 15): string {
  return readFileSync(child.logFile, "utf8").trimEnd().split("\n").slice(-count).join("\n");
}

async function isLate(signal: AbortSignal): Promise<boolean> {
  try {
    await delay(STOP_GRACE_MS, undefined, { signal });
    return true;
  } catch {
    // Aborted: the child has ended in time and nobody asks any more.
    return false;
  }
}

function endOf(spawned: ChildProcess, wanted: () => boolean): Promise<ChildEnd> {
  return new Promise((resolve) => {
    // "close" comes after the last output; a command that cannot be started only gives "error".
    spawned.once("close", (exitCode, signal) => resolve({ exitCode, signal, wanted: wanted() }));
    spawned.once("error", () => resolve({ exitCode: null, signal: null, wanted: wanted() }));
  });
}

function passLines(spawned: ChildProcess, logFile: string, onLine: (line: string) => void): void {
  for (const stream of [spawned.stdout, spawned.stderr]) {
    if (!stream) continue;
    createInterface({ input: stream }).on("line", (line) => {
      onLine(line);
      try {
        appendFileSync(logFile, `${line}\n`);
      } catch {
        // The disk is full: the line was shown at least.
      }
    });
  }
}
