/** What `npm start` and `npm run check` write to. Colours and rewritten lines appear on a terminal only. */
export interface Terminal {
  line(text?: string): void;
  /** What is going on at the moment. On a terminal the next one takes its place, elsewhere each is a line. */
  progress(text: string): void;
  bold(text: string): string;
  dim(text: string): string;
  red(text: string): string;
  green(text: string): string;
}

const ERASE_LINE = "\r\u001B[2K";

export function createTerminal(stream: NodeJS.WriteStream, env: NodeJS.ProcessEnv = process.env): Terminal {
  // A reader that went away (`npm start | head`) is no reason to end.
  stream.on("error", () => {});
  const fancy = stream.isTTY && env["TERM"] !== "dumb";
  // https://no-color.org
  const colour = fancy && !env["NO_COLOR"];
  const style = (code: number) => (text: string) => (colour ? `\u001B[${code}m${text}\u001B[0m` : text);
  const dim = style(2);
  let unfinished = false;
  const erase = (): string => (unfinished ? ERASE_LINE : "");
  return {
    line(text = "") {
      stream.write(`${erase()}${text}\n`);
      unfinished = false;
    },
    progress(text) {
      // Cut to the width: a line that wraps cannot be erased.
      const line = fancy ? `${erase()}${dim(text.slice(0, (stream.columns || 80) - 1))}` : `${text}\n`;
      stream.write(line);
      unfinished = fancy;
    },
    bold: style(1),
    dim,
    red: style(31),
    green: style(32),
  };
}

/** Rows with their columns under each other, indented by two spaces. */
export function alignedTable(rows: readonly (readonly string[])[]): string {
  const widths: number[] = [];
  for (const row of rows) {
    for (const [column, cell] of row.entries()) widths[column] = Math.max(widths[column] ?? 0, cell.length);
  }
  const line = (row: readonly string[]): string =>
    row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join("  ");
  return rows.map((row) => `  ${line(row)}`.trimEnd()).join("\n");
}
