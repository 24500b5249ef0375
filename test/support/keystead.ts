import { type ChildProcess, spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { createInterface } from "node:readline";
import { KeysteadError } from "../../src/errors.ts";
import { controllerKubeconfig } from "./controller-identity.ts";
import { installCrds } from "./crds.ts";
import { createDatabase, createNamespace, type TestDatabase } from "./servers.ts";

const MAIN = new URL("../../src/main.ts", import.meta.url).pathname;

/** Where the Secret of every Environment says the API is. */
export const SERVICE_URL = "http://keystead.test:3003";

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
  /** Sends the signal and resolves with the exit status: a number, or the signal that ended it. */
  end(signal?: NodeJS.Signals): Promise<number | NodeJS.Signals>;
  /** Resolves when it ends by itself. */
  readonly exit: Promise<number | NodeJS.Signals>;
}

/** A namespace, a database and a key of their own, and processes of Keystead on them. */
export interface Installation extends AsyncDisposable {
  readonly namespace: string;
  readonly database: TestDatabase;
  /** What every process of it is started with. */
  readonly environment: Readonly<Record<string, string>>;
  start(command: "controller" | "api" | "run", environment?: Readonly<Record<string, string>>): KeysteadProcess;
  /** Base URL of the API that the process serves. */
  apiOf(process: KeysteadProcess): Promise<string>;
}

/** Prepares an installation that watches one namespace; nothing runs yet. */
export async function createInstallation(prefix: string): Promise<Installation> {
  const [namespace, database] = await Promise.all([createNamespace(prefix), createDatabase(), installCrds()]);
  const kubeconfig = await controllerKubeconfig(namespace.name);
  const environment = {
    KUBECONFIG: kubeconfig,
    DATABASE_URL: database.url,
    KEYSTEAD_ENCRYPTION_KEY: randomBytes(32).toString("base64"),
    KEYSTEAD_NAMESPACE: namespace.name,
    KEYSTEAD_WATCH_NAMESPACES: namespace.name,
    KEYSTEAD_SERVICE_URL: SERVICE_URL,
    KEYSTEAD_API_PORT: "0",
    KEYSTEAD_API_HOST: "127.0.0.1",
    KEYSTEAD_METRICS_PORT: "0",
    KEYSTEAD_METRICS_HOST: "127.0.0.1",
    KEYSTEAD_LOG_FORMAT: "json",
  };
  const processes: KeysteadProcess[] = [];
  return {
    namespace: namespace.name,
    database,
    environment,
    start(command, more = {}) {
      const process = startProcess([command], { ...environment, ...more });
      processes.push(process);
      return process;
    },
    async apiOf(process) {
      const { port } = await process.logged("the API is served");
      return `http://127.0.0.1:${String(port)}`;
    },
    async [Symbol.asyncDispose]() {
      await Promise.all(processes.map((process) => process[Symbol.asyncDispose]()));
      await namespace[Symbol.asyncDispose]();
      await database[Symbol.asyncDispose]();
    },
  };
}

/** Starts `keystead` with exactly this environment beside PATH, in a process of its own. */
export function startProcess(args: readonly string[], environment: Readonly<Record<string, string>>): KeysteadProcess {
  const child = spawn(process.execPath, [MAIN, ...args], {
    env: { PATH: process.env["PATH"], ...environment },
    stdio: ["ignore", "pipe", "pipe"],
  });
  let output = "";
  const seen = new Map<string, LogLine>();
  const waiting = new Map<
    string,
    { readonly resolve: (line: LogLine) => void; readonly reject: (error: Error) => void }
  >();
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
  void exit.then((status) => {
    for (const [message, { reject }] of waiting) {
      reject(new KeysteadError("part_failed", `ended with ${status} before it logged "${message}":\n${output}`));
    }
  });
  const end = async (signal: NodeJS.Signals = "SIGTERM"): Promise<number | NodeJS.Signals> => {
    child.kill(signal);
    return await exit;
  };
  return {
    pid: child.pid ?? -1,
    output: () => output,
    logged(message) {
      const line = seen.get(message);
      if (line) return Promise.resolve(line);
      return new Promise((resolve, reject) => waiting.set(message, { resolve, reject }));
    },
    exit,
    end,
    async [Symbol.asyncDispose]() {
      if (child.exitCode === null && child.signalCode === null) await end("SIGKILL");
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
