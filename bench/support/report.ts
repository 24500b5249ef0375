import { readFileSync, writeFileSync } from "node:fs";
import { cpus, loadavg, totalmem } from "node:os";
import { join } from "node:path";
import { alignedTable } from "../../dev/terminal.ts";
import { passed, verdictOf, type Check, type Findings, type Table } from "./table.ts";

const ROOT = join(import.meta.dirname, "..", "..");
const FILE = join(ROOT, "BENCHMARKS.md");

/** Where and with what a table was measured. */
export interface Circumstances {
  readonly machine: string;
  readonly versions: string;
  /** Processes that wanted a core in the minute before: what else the machine did. */
  readonly load: number;
  readonly date: string;
}

export function describeCircumstances(kubernetes: string, postgres: string): Circumstances {
  const [cpu] = cpus();
  const memory = `${Math.round(totalmem() / 2 ** 30)} GiB`;
  return {
    machine: `${cpus().length} cores of ${cpu?.model.trim() ?? "an unknown processor"}, ${memory}`,
    versions: `Node ${process.versions.node}, Kubernetes ${kubernetes}, Postgres ${postgres}`,
    load: loadavg()[0] ?? 0,
    date: new Date().toISOString().slice(0, 10),
  };
}

/** A table for the terminal, and under it what it claims. */
export function printed(table: Table, { rows, checks }: Findings): string {
  const claims = checks.map((check) => [verdictOf(check), check.what, measuredOf(check), limitOf(check)]);
  return `\n${table.title}\n\n${alignedTable(rows)}\n\n${alignedTable(claims)}\n`;
}

/**
 * Writes the sections of the tables that ran into BENCHMARKS.md, and their plots. Those of other tables stay as they are,
 * each with the date and the machine it was measured on. `tables` gives the order.
 */
export function writeReport(
  tables: readonly Table[],
  results: ReadonlyMap<string, Findings>,
  circumstances: Circumstances,
): void {
  const before = readSections();
  const sections = tables.flatMap((table) => {
    const findings = results.get(table.name);
    const section = findings ? sectionOf(table, findings, circumstances) : before.get(table.name);
    return section === undefined ? [] : [`${markOf(table.name)}\n${section.trim()}\n`];
  });
  writeFileSync(FILE, `${INTRODUCTION}\n${sections.join("\n")}`);
  for (const { plot } of results.values()) if (plot) writeFileSync(join(ROOT, plot.path), plot.svg);
}

const INTRODUCTION = `# Benchmarks

Written by \`npm run bench\`, which fails where a limit is missed. \`npm run bench -- TABLE...\` runs single tables, named as in the
comments above each section, and replaces only theirs.

Every figure is compared with something measured in the same run on the same machine, because absolute ones move by a fifth from
one hour to the next. etcd, kube-apiserver and Postgres run beside what is measured, on the same cores. Both databases write
through to disk (fsync on). Keystead runs as emitted JavaScript with its default settings, the controller under the ServiceAccount
and the rights that the chart gives it. How the figures change with size is in [docs/scaling.md](docs/scaling.md).
`;

const MARK = /^<!-- table: (\S+) -->\n/gm;

function markOf(name: string): string {
  return `<!-- table: ${name} -->`;
}

/** Sections of the report that exists, by the name of the table. */
function readSections(): Map<string, string> {
  let text: string;
  try {
    text = readFileSync(FILE, "utf8");
  } catch {
    // The first report.
    return new Map();
  }
  // Splitting by a pattern with a group gives what is before the first mark, and then name and section in turn.
  const [, ...parts] = text.split(MARK);
  const sections = new Map<string, string>();
  for (let index = 0; index + 1 < parts.length; index += 2) sections.set(parts[index] ?? "", parts[index + 1] ?? "");
  return sections;
}

function sectionOf(table: Table, { rows, checks, method, plot }: Findings, where: Circumstances): string {
  const claims = [
    ["claim", "measured", "limit", ""],
    ...checks.map((check) => [check.what, measuredOf(check), limitOf(check), inMarkdown(check)]),
  ];
  return [
    `## ${table.title}`,
    markdownTable(claims),
    markdownTable(rows),
    ...(plot ? [`![${plot.title}](${plot.path})`] : []),
    method.join("\n"),
    `*${where.date}, ${where.machine} (load average before the run ${where.load.toFixed(1)}); ${where.versions}.*`,
  ].join("\n\n");
}

function inMarkdown(check: Check): string {
  return passed(check) ? verdictOf(check) : `**${verdictOf(check).toLowerCase()}**`;
}

function markdownTable([head = [], ...rows]: readonly (readonly string[])[]): string {
  return [head, head.map(() => "---"), ...rows].map((cells) => `| ${cells.join(" | ")} |`).join("\n");
}

function measuredOf({ measured, unit }: Check): string {
  const digits = Number.isInteger(measured) ? 0 : Math.abs(measured) < 10 ? 2 : 1;
  return `${measured.toFixed(digits)}${unit}`;
}

function limitOf({ limit, unit }: Check): string {
  if ("atLeast" in limit) return `at least ${limit.atLeast}${unit}`;
  if ("atMost" in limit) return `at most ${limit.atMost}${unit}`;
  return `under ${limit.under}${unit}`;
}
