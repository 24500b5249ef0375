import { execFile } from "node:child_process";
import { join } from "node:path";
import { promisify } from "node:util";
import { KeysteadError } from "../../src/errors.ts";

const ROOT = join(import.meta.dirname, "..", "..");

/** The executable as the image has it: emitted JavaScript, since stripping types costs memory and start-up time. */
export const EMITTED_MAIN = join(ROOT, "dist", "main.js");

/**
 * Environment of the image. glibc keeps what a thread frees in an arena of that thread, and Node has eight threads that
 * hold buffers of the API server's answers for a moment: with one arena 20,000 Secrets that pass by leave 0.3 MB behind,
 * otherwise 4 MB.
 */
export const IMAGE_ENVIRONMENT = { MALLOC_ARENA_MAX: "1" };

/**
 * Environment of the API. Of each read some 20 KB are garbage at once, and the room in which V8 collects them grows to
 * 110 MB if it may, and to 30 MB with this; collecting takes 3 ms then instead of 9, three times as often.
 */
export const API_ENVIRONMENT = { ...IMAGE_ENVIRONMENT, NODE_OPTIONS: "--max-semi-space-size=16" };

/**
 * Arguments of node for a long-running process of Keystead. With `BENCH_PROFILE=DIR` each of them writes a CPU profile
 * there when it ends; the figures of such a run are lower and not worth keeping.
 */
export function nodeArguments(): string[] {
  const directory = process.env["BENCH_PROFILE"];
  return directory ? ["--cpu-prof", `--cpu-prof-dir=${directory}`] : [];
}

const run = promisify(execFile);

/** Emits the JavaScript, by the package's own build script. Throws `part_failed` with what the compiler said. */
export async function build(): Promise<void> {
  try {
    await run("npm", ["run", "--silent", "build"], { cwd: ROOT });
  } catch (error) {
    const said = error instanceof Error && "stdout" in error ? String(error.stdout).trim() : "";
    throw new KeysteadError("part_failed", `npm run build failed:\n${said}`, { cause: error });
  }
}

/** Runs a command of the emitted program to its end and resolves with its output. Throws `part_failed` with its last words. */
export async function runEmitted(args: readonly string[], environment: NodeJS.ProcessEnv): Promise<string> {
  try {
    const env = { PATH: process.env["PATH"], ...environment };
    return (await run(process.execPath, [EMITTED_MAIN, ...args], { env })).stdout;
  } catch (error) {
    const said = error instanceof Error && "stderr" in error ? String(error.stderr).trim() : "";
    throw new KeysteadError("part_failed", `keystead ${args.join(" ")} failed:\n${said}`, { cause: error });
  }
}
