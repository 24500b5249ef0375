import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";

/** A second Node process that runs a few lines of TypeScript, for what only shows between processes. */
export interface Script extends AsyncDisposable {
  readonly process: ChildProcess;
  readonly pid: number;
  /** Resolves with the first line it writes to stdout. */
  readonly firstLine: Promise<string>;
  /** Resolves with all it wrote to stdout, after it has ended. */
  readonly output: Promise<string>;
}

/** @param source a module; it may use `await`, and imports by absolute path. */
export function runScript(source: string, env: NodeJS.ProcessEnv = {}): Script {
  const child = spawn(process.execPath, ["--input-type=module-typescript", "--eval", source], {
    env: { ...process.env, ...env },
    stdio: ["pipe", "pipe", "inherit"],
  });
  let text = "";
  child.stdout.on("data", (chunk: Buffer) => (text += chunk.toString()));
  const ended = once(child, "close");
  const firstLine = new Promise<string>((resolve) => {
    const look = (): void => {
      const end = text.indexOf("\n");
      if (end >= 0) resolve(text.slice(0, end));
    };
    child.stdout.on("data", look);
    child.once("close", () => resolve(text.trimEnd()));
  });
  return {
    process: child,
    pid: child.pid ?? 0,
    firstLine,
    output: ended.then(() => text),
    async [Symbol.asyncDispose]() {
      child.kill("SIGKILL");
      await ended;
    },
  };
}

/** Makes an import of one of the repository's modules for `runScript`. */
export function importOf(names: string, module: string): string {
  return `import { ${names} } from ${JSON.stringify(new URL(`../../${module}`, import.meta.url).pathname)};\n`;
}
