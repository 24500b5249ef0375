import { KeysteadError } from "../src/errors.ts";
import { createChildProcesses } from "./processes/child-processes.ts";
import { diskFull, openDataDirectory } from "./data-directory.ts";
import { endedEarly } from "./parts.ts";
import { USAGE, readStartOptions } from "./start-options.ts";
import type { StartOptions } from "./start-options.ts";
import type { StopRequest } from "./stop-request.ts";
import { printSummary } from "./summary.ts";
import { createTerminal } from "./terminal.ts";
import type { Terminal } from "./terminal.ts";
import { startWorkbench } from "./workbench.ts";
import type { Workbench } from "./workbench.ts";

/** Does what the arguments of `npm start` ask for and resolves with the exit code, after everything it started has ended. */
export async function runStart(args: readonly string[], stop: StopRequest): Promise<number> {
  const terminal = createTerminal(process.stdout);
  let options: StartOptions | undefined;
  let askedToStopAt = Date.now();
  stop.signal.addEventListener("abort", () => (askedToStopAt = Date.now()));
  try {
    options = readStartOptions(args, process.env);
    if (options) await runWorkbench(options, terminal, stop);
    else terminal.line(USAGE);
    return 0;
  } catch (error) {
    if (stop.signal.aborted) {
      // What fails because everything is being ended is not news.
      terminal.line(`Keystead has stopped. That took ${secondsSince(askedToStopAt)} s.`);
      return 0;
    }
    terminal.line(terminal.red(messageOf((options && diskFull(options.dataDirectory)) ?? error)));
    return 1;
  }
}

/** Never resolves: throws when a part ends by itself, or when the user wants an end. Everything has ended by then. */
async function runWorkbench(options: StartOptions, terminal: Terminal, stop: StopRequest): Promise<never> {
  const startedAt = Date.now();
  stop.signal.throwIfAborted();
  const data = await openDataDirectory(options.dataDirectory);
  try {
    if (data.ended.length > 0) terminal.line(`Ended what an earlier start left running: ${data.ended.join(", ")}.`);
    await using children = createChildProcesses(data.path);
    let ready = false;
    const starting = startWorkbench({
      options,
      children,
      progress: (text) => terminal.progress(text),
      onLine: (part, line) => ready && terminal.line(`${terminal.dim(`${part} |`)} ${line}`),
      signal: stop.signal,
    });
    using workbench = await Promise.race([starting, stop.requested]);
    printSummary(workbench, options, terminal);
    terminal.line(terminal.dim(`Started in ${secondsSince(startedAt)} s. Ctrl-C stops everything.`));
    terminal.line(terminal.bold("Keystead is ready"));
    ready = true;
    return await Promise.race([stop.requested, firstEnd(workbench)]);
  } finally {
    data.release();
  }
}

async function firstEnd(workbench: Workbench): Promise<never> {
  const { cluster, database, controller, api } = workbench;
  const parts = [...cluster.parts, ...database.parts, controller.child, api.child];
  throw endedEarly(await Promise.race(parts.map((part) => part.ended.then(() => part))));
}

function secondsSince(instant: number): string {
  return ((Date.now() - instant) / 1000).toFixed(1);
}

function messageOf(error: unknown): string {
  if (error instanceof KeysteadError) return error.message;
  // Not foreseen, so where it came from is what helps.
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}
