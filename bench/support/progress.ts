/** Says on stderr what is being done: the tables alone go to stdout. */
export function progress(line: string): void {
  process.stderr.write(`${new Date().toTimeString().slice(0, 8)} ${line}\n`);
}
