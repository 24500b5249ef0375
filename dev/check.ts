import { execFile } from "node:child_process";
import { join } from "node:path";
import { alignedTable, createTerminal } from "./terminal.ts";

// The executable behind `npm run check`: everything that can be said about the code without running it.

interface Check {
  readonly name: string;
  /** Shown when it fails. */
  readonly mend: string;
  readonly command: readonly string[];
}

const CHECKS: readonly Check[] = [
  { name: "types", mend: "npx tsc --noEmit", command: ["tsc", "--noEmit"] },
  { name: "lint and import directions", mend: "npx oxlint --type-aware", command: ["oxlint", "--type-aware"] },
  { name: "format", mend: "npm run format", command: ["oxfmt", "--check"] },
  { name: "unused code and dependencies", mend: "npx knip", command: ["knip", "--no-progress"] },
  { name: "generated files", mend: "npm run generate", command: ["node", "dev/generate.ts", "--check"] },
];

interface Result {
  readonly check: Check;
  readonly passed: boolean;
  readonly seconds: number;
  readonly output: string;
}

const root = join(import.meta.dirname, "..");
const terminal = createTerminal(process.stdout);
const results = await Promise.all(CHECKS.map((check) => run(check)));
const failed = results.filter((result) => !result.passed);

for (const { check, output } of failed)
  terminal.line(`${terminal.bold(check.name)} (${check.mend})\n\n${output.trim()}\n`);
terminal.line(
  alignedTable(
    results.map(({ check, passed, seconds }) => [check.name, passed ? "ok" : "FAILED", `${seconds.toFixed(1)} s`]),
  ),
);
terminal.line(
  failed.length === 0
    ? terminal.green("All checks passed.")
    : terminal.red(`${failed.length} of ${results.length} checks failed.`),
);
process.exitCode = failed.length === 0 ? 0 : 1;

/** Side by side with the others: most of them keep one core busy for a part of their time only. */
function run(check: Check): Promise<Result> {
  const startedAt = performance.now();
  const [program = "", ...args] = check.command;
  const bin = join(root, "node_modules", ".bin");
  return new Promise((resolve) => {
    // node means this one: the check may have been started without npm, by an older one on the PATH.
    const file = program === "node" ? process.execPath : join(bin, program);
    const env = { ...process.env, PATH: `${bin}:${process.env["PATH"] ?? ""}` };
    execFile(file, args, { cwd: root, env, maxBuffer: 64 * 1024 * 1024 }, (error, stdout, stderr) => {
      const seconds = (performance.now() - startedAt) / 1000;
      resolve({ check, passed: error === null, seconds, output: stdout + stderr });
    });
  });
}
