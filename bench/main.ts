// npm run bench [-- [--steady-minutes N] [--purge-rows N] TABLE...]: measures, prints, writes BENCHMARKS.md, and exits with 1 where a limit is missed.
import { parseArgs } from "node:util";
import { KUBERNETES_VERSION } from "../dev/control-plane/binaries.ts";
import { asKeysteadError, KeysteadError } from "../src/errors.ts";
import { catchUp } from "./catch-up.ts";
import { dataKey } from "./data-key.ts";
import { edit } from "./edit.ts";
import { encryptionKey } from "./encryption-key.ts";
import { memory } from "./memory.ts";
import { newcomer } from "./newcomer.ts";
import { purge } from "./purge.ts";
import { readLatency } from "./read-latency.ts";
import { read } from "./read.ts";
import { replicas } from "./replicas.ts";
import { restart } from "./restart.ts";
import { steady } from "./steady.ts";
import { build } from "./support/emitted.ts";
import { postgresVersion } from "./support/postgres-version.ts";
import { progress } from "./support/progress.ts";
import { describeCircumstances, printed, writeReport } from "./support/report.ts";
import { createSession } from "./support/session.ts";
import { passed, type Findings, type Table } from "./support/table.ts";
import { trickle } from "./trickle.ts";
import { unknownKeys } from "./unknown-keys.ts";

/** In this order: `newcomer` needs Connections that no controller has seen yet, and leaves them settled for those after it. */
const TABLES: readonly Table[] = [
  catchUp,
  newcomer,
  restart,
  trickle,
  edit,
  memory,
  read,
  readLatency,
  unknownKeys,
  replicas,
  purge,
  dataKey,
  encryptionKey,
  steady,
];

try {
  process.exitCode = (await main(process.argv.slice(2))) ? 0 : 1;
} catch (thrown) {
  const { message, stack } = asKeysteadError(thrown);
  process.stderr.write(`bench: ${thrown instanceof KeysteadError ? message : stack}\n`);
  process.exitCode = 1;
}

/** Whether every limit was kept. */
async function main(args: readonly string[]): Promise<boolean> {
  const { values, positionals } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: {
      "steady-minutes": { type: "string", default: "10" },
      "purge-rows": { type: "string", default: "1000000" },
    },
  });
  const chosen = choose(positionals);
  const circumstances = describeCircumstances(KUBERNETES_VERSION.replace("v", ""), await postgresVersion());
  progress("building the emitted JavaScript");
  await build();

  await using session = createSession({
    steadyMinutes: Number(values["steady-minutes"]),
    purgeRows: Number(values["purge-rows"]),
  });
  const results = new Map<string, Findings>();
  for (const table of chosen) {
    const findings = await table.run(session);
    results.set(table.name, findings);
    process.stdout.write(printed(table, findings));
    // After each, so that a run that breaks off keeps what it has.
    writeReport(TABLES, results, circumstances);
  }
  return [...results.values()].every(({ checks }) => checks.every((check) => passed(check)));
}

function choose(names: readonly string[]): readonly Table[] {
  const unknown = names.find((name) => !TABLES.some((table) => table.name === name));
  if (unknown !== undefined) {
    const known = TABLES.map(({ name }) => name).join(", ");
    throw new KeysteadError("internal_error", `there is no table "${unknown}": there are ${known}`);
  }
  return names.length === 0 ? TABLES : TABLES.filter(({ name }) => names.includes(name));
}
