import { runSpec } from "./model-check.ts";
import { alignedTable, createTerminal } from "./terminal.ts";

// The executable behind `npm run spec`: checks the models of spec/ with all their interleavings, half a minute of a quiet processor.
const terminal = createTerminal(process.stdout);
const outcome = await runSpec((text) => terminal.progress(text));
if (outcome.kind === "missing") {
  terminal.line(terminal.red(outcome.message));
  process.exitCode = 1;
} else {
  const rows = outcome.runs.map(({ name, expected, found, states, seconds }) => [
    name,
    found === expected ? "ok" : "FAILED",
    found,
    `${states} states`,
    `${seconds.toFixed(1)} s`,
  ]);
  terminal.line(alignedTable(rows));
  const failed = outcome.runs.filter(({ expected, found }) => found !== expected);
  for (const { name, expected, found } of failed)
    terminal.line(terminal.red(`${name}: expected was ${expected}, and the model checker found ${found}.`));
  if (failed.length === 0) terminal.line(terminal.green("The models hold, and every mutant was found out."));
  process.exitCode = failed.length === 0 ? 0 : 1;
}
