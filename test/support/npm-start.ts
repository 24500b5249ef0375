import { spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { z } from "zod";
import { freePorts } from "../../dev/processes/free-port.ts";
import { isRunning, processIdentity } from "../../dev/processes/process-identity.ts";
import { readState } from "../../dev/state-file.ts";
import { eventually } from "./eventually.ts";

const ROOT = join(import.meta.dirname, "..", "..");

/** A data folder of its own; disposing removes it. */
export interface DataFolder extends Disposable {
  readonly path: string;
  file(name: string): string;
  /** Permission bits in octal. */
  mode(name: string): string;
  /** The processes that the folder remembers. */
  processes(): { name: string; pid: number; startedAt: string }[];
}

export function makeDataFolder(): DataFolder {
  const parent = mkdtempSync(join(tmpdir(), "keystead-start-"));
  const path = join(parent, "data");
  const record = z.array(processIdentity.extend({ name: z.string() }));
  return {
    path,
    file: (name) => readFileSync(join(path, name), "utf8"),
    mode: (name) => (statSync(join(path, name)).mode & 0o777).toString(8),
    processes: () => readState(join(path, "processes.json"), record) ?? [],
    [Symbol.dispose]: () => rmSync(parent, { recursive: true, force: true }),
  };
}

/** A running `npm start`. */
export interface NpmStart extends AsyncDisposable {
  readonly pid: number;
  /** Everything it wrote so far. */
  output(): string;
  /** Resolves when the line is there that says so; rejects when it ends before. */
  ready(): Promise<void>;
  /** Exit code, or the name of the signal that ended npm. */
  readonly ended: Promise<number | string>;
  signal(signal: NodeJS.Signals): void;
  /** SIGKILL to npm and what runs in its process group, as a closed container or a panicking shell does. */
  killGroup(): void;
}

/** Types `npm start -- ...` as a user would, in a process group of its own. */
export function npmStart(args: readonly string[], env: NodeJS.ProcessEnv = {}): NpmStart {
  const npm = spawn("npm", ["start", "--", ...args], {
    cwd: ROOT,
    env: { ...withoutSettings(process.env), ...env },
    detached: true,
    stdio: ["ignore", "pipe", "pipe"],
  });
  let output = "";
  for (const stream of [npm.stdout, npm.stderr]) stream.on("data", (chunk: Buffer) => (output += chunk.toString()));
  let hasEnded = false;
  const ended = new Promise<number | string>((resolve) => {
    npm.once("close", (exitCode, signal) => {
      hasEnded = true;
      resolve(exitCode ?? signal ?? "");
    });
  });
  const pid = npm.pid ?? 0;
  return {
    pid,
    ended,
    output: () => output,
    async ready() {
      await eventually(
        () => {
          if (output.includes("\nKeystead is ready\n") || hasEnded) return;
          throw new RangeError(`not ready yet:\n${output}`);
        },
        { deadlineMs: 90_000 },
      );
      if (hasEnded) throw new RangeError(`ended before it was ready:\n${output}`);
    },
    signal: (signal) => void npm.kill(signal),
    killGroup: () => void process.kill(-pid, "SIGKILL"),
    async [Symbol.asyncDispose]() {
      if (!hasEnded) npm.kill("SIGTERM");
      await ended;
    },
  };
}

/** What a developer has set for himself must not decide a test. */
function withoutSettings(env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  const foreign = /^(KEYSTEAD_(?!DEV_BINARIES)|DATABASE_URL$|KUBECONFIG$|npm_|INIT_CWD$|NODE_|VITEST)/;
  return Object.fromEntries(Object.entries(env).filter(([name]) => !foreign.test(name)));
}

/** A port for the API of a start that shall meet no other on this machine. */
export async function ownPort(): Promise<string> {
  const [port = 0] = await freePorts(1);
  return String(port);
}

/** Names of those that still run. */
export function stillRunning(processes: ReturnType<DataFolder["processes"]>): string[] {
  return processes.filter((recorded) => isRunning(recorded)).map((recorded) => recorded.name);
}
