import { KeysteadError } from "../src/errors.ts";
import { createChildProcesses } from "./processes/child-processes.ts";
import { diskFull, openDataDirectory } from "./data-directory.ts";
import { endedEarly } from "./parts.ts";
import { USAGE, readStartOptions } from "./start-options.ts";
import type { StartOptions } from "./start-options.ts";
import { stopRequest } from "./stop-request.ts";
import { printSummary } from "./summary.ts";
import { createTerminal } from "./terminal.ts";
import { startWorkbench } from "./workbench.ts";
import type { Workbench } from "./workbench.ts";

// The executable behind `npm start`: runs the whole of Keystead until it is asked to stop.
const terminal = createTerminal(process.stdout);
const stop = stopRequest();
let directory: string | undefined;
try {
  const options = readStartOptions(process.argv.slice(2), process.env);
  directory = options?.dataDirectory;
  if (options) await run(options);
  else terminal.line(USAGE);
} catch (error) {
  if (stop.signal.aborted) {
    // What fails because everything is being ended is not news.
    terminal.line("Keystead has stopped.");
  } else {
    terminal.line(terminal.red(messageOf((directory && diskFull(directory)) || error)));
    process.exitCode = 1;
  }
}
// A request that nobody waits for any more must not keep the process.
process.exit();

/** Resolves never: throws when a part ends by itself, or when the user wants an end. Everything has ended by then. */
async function run(options: StartOptions): Promise<never> {
  const startedAt = Date.now();
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
    terminal.line(
      terminal.dim(`Started in ${((Date.now() - startedAt) / 1000).toFixed(1)} s. Ctrl-C stops everything.`),
    );
    terminal.line(terminal.bold("Keystead is ready"));
    ready = true;
    return await Promise.race([stop.requested, firstEnd(workbench)]);
  } finally {
    data.release();
  }
}

async function firstEnd(workbench: Workbench): Promise<never> {
  const parts = [
    ...workbench.cluster.parts,
    ...workbench.database.parts,
    workbench.controller.child,
    workbench.api.child,
  ];
  throw endedEarly(await Promise.race(parts.map((part) => part.ended.then(() => part))));
}

function messageOf(error: unknown): string {
  if (error instanceof KeysteadError) return error.message;
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}
