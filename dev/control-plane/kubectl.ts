import { execFile } from "node:child_process";
import { accessSync, constants } from "node:fs";
import { delimiter, join } from "node:path";
import { KeysteadError } from "../../src/errors.ts";

/** Runs kubectl against one cluster as its administrator. */
export interface Kubectl {
  readonly program: string;
  /** Resolves with the output; throws `part_failed` with what kubectl said. */
  (args: readonly string[], stdin?: string): Promise<string>;
}

/** Path of a program of the user's, if it is on the PATH. */
export function onPath(program: string): string | undefined {
  const folders = (process.env["PATH"] ?? "").split(delimiter);
  return folders.map((folder) => join(folder, program)).find((path) => isExecutable(path));
}

/**
 * @param kubeconfig undefined for the user's own.
 * @param signal ends a kubectl that is still at work.
 * @param cache where kubectl keeps what it learned of the cluster, so that nothing is left in `~/.kube`.
 */
export function createKubectl(
  program: string,
  kubeconfig: string | undefined,
  cache: string,
  signal: AbortSignal,
): Kubectl {
  const env = { ...process.env, KUBECACHEDIR: cache, ...(kubeconfig === undefined ? {} : { KUBECONFIG: kubeconfig }) };
  const run = (args: readonly string[], stdin = ""): Promise<string> =>
    new Promise((resolve, reject) => {
      const child = execFile(
        program,
        [...args],
        { env, signal, maxBuffer: 64 * 1024 * 1024 },
        (error, stdout, stderr) => {
          if (!error) resolve(stdout);
          else
            reject(new KeysteadError("part_failed", `kubectl ${args[0]} failed: ${stderr.trim()}`, { cause: error }));
        },
      );
      child.stdin?.on("error", () => {});
      child.stdin?.end(stdin);
    });
  return Object.assign(run, { program });
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    // Not there, or not for us.
    return false;
  }
}
