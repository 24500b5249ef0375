import { allVariables } from "./config-variables.ts";

// The head stands here and not in a template file, so that the page has one source.
const DOCS_HEAD = `# Configuration

<!-- Generated from src/config-variables.ts by \`npm run generate\`. -->

Everything is set by environment variables. A process reads them once, when it starts, and checks only those that it
uses; if any is wrong it prints a line for each and exits with status 1. An empty variable counts as unset. A
\`KEYSTEAD_*\` variable that is not in this table is reported in the log and otherwise left alone, so that an older
version still starts with the settings of a newer one.

| variable | meaning | accepts | default | why | ignored when |
|---|---|---|---|---|---|
`;

/** The page `docs/configuration.md`, whole. */
export function describeConfig(): string {
  const rows = allVariables().map(({ variable, readers }) => {
    const ignored = [`the process is not ${readers.map((reader) => `\`${reader}\``).join(", ")}`, variable.ignoredWhen];
    const cells = [
      `\`${variable.name}\``,
      variable.meaning,
      variable.range,
      variable.default,
      variable.reason,
      ignored.filter((text) => text !== undefined).join("; or "),
    ];
    return `| ${cells.map((cell) => cell.replaceAll("|", "\\|")).join(" | ")} |`;
  });
  return `${DOCS_HEAD}${rows.join("\n")}\n`;
}
