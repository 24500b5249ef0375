import { type ChildProcess, spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { KeysteadError } from "../../src/errors.ts";

const MAIN = new URL("../../src/main.ts", import.meta.url).pathname;

/** A line of a process's log. */
export interface LogLine {
  readonly level: string;
  readonly msg: string;
  readonly [field: string]: unknown;
}

/** One process of Keystead. */
export interface KeysteadProcess extends AsyncDisposable {
  readonly pid: number;
  /** Everything it wrote, as text. */
  output(): string;
  /** Resolves with the first line with that message, also when it came already; rejects when the process ends without one. */
  logged(message: string): Promise<LogLine>;
  /** Base URL of its metrics and probes. */
  metricsUrl(): Promise<string>;
  /** Sends the signal and resolves with the exit status: a number, or the signal that ended it. */
  end(signal?: NodeJS.Signals): Promise<number | NodeJS.Signals>;
  /** Resolves when it ends by itself. */
  readonly exit: Promise<number | NodeJS.Signals>;
  readonly running: boolean;
}

/** Starts `keystead` with exactly this environment beside PATH and the compile cache of the run, in a process of its own. */
export function startProcess(args: readonly string[], environment: Readonly<Record<string, string>>): KeysteadProcess {
  const child = spawn(process.execPath, [MAIN, ...args], {
    env: { PATH: process.env["PATH"], NODE_COMPILE_CACHE: process.env["NODE_COMPILE_CACHE"], ...environment },
    stdio: ["ignore", "pipe", "pipe"],
  });
  let output = "";
  const seen = new Map<string, LogLine>();
  const waiting = new Map<string, PromiseWithResolvers<LogLine>>();
  const take = (line: string): void => {
    output += `${line}\n`;
    const parsed = parseLine(line);
    if (!parsed || seen.has(parsed.msg)) return;
    seen.set(parsed.msg, parsed);
    waiting.get(parsed.msg)?.resolve(parsed);
  };
  createInterface({ input: child.stdout }).on("line", take);
  createInterface({ input: child.stderr }).on("line", take);
  const exit = exitOf(child);
  // oxlint-disable-next-line promise/always-return -- nobody waits for this
  void exit.then((status) => {
    for (const [message, { reject }] of waiting) {
      reject(new KeysteadError("part_failed", `ended with ${status} before it logged "${message}":\n${output}`));
    }
  });
  const logged = (message: string): Promise<LogLine> => {
    const line = seen.get(message);
    if (line) return Promise.resolve(line);
    const awaited = waiting.get(message) ?? Promise.withResolvers<LogLine>();
    waiting.set(message, awaited);
    return awaited.promise;
  };
  const end = async (signal: NodeJS.Signals = "SIGTERM"): Promise<number | NodeJS.Signals> => {
    child.kill(signal);
    return await exit;
  };
  const isRunning = (): boolean => child.exitCode === null && child.signalCode === null;
  return {
    pid: child.pid ?? -1,
    output: () => output,
    logged,
    async metricsUrl() {
      const { port } = await logged("metrics and probes are served");
      return `http://127.0.0.1:${String(port)}`;
    },
    exit,
    end,
    get running() {
      return isRunning();
    },
    async [Symbol.asyncDispose]() {
      if (isRunning()) await end("SIGKILL");
    },
  };
}

function exitOf(child: ChildProcess): Promise<number | NodeJS.Signals> {
  return new Promise((resolve) => {
    // "close" comes after the last of the output, "exit" may come before.
    child.once("close", (code, signal) => resolve(code ?? signal ?? 0));
  });
}

function parseLine(line: string): LogLine | undefined {
  try {
    const parsed: unknown = JSON.parse(line);
    return typeof parsed === "object" && parsed !== null && "msg" in parsed ? (parsed as LogLine) : undefined;
  } catch {
    // What a process prints for people is no JSON.
    return undefined;
  }
}
