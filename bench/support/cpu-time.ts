import { readFileSync } from "node:fs";

/** Clock ticks a second in /proc: fixed on Linux, whatever the kernel's own rate is (see proc(5), sysconf(_SC_CLK_TCK)). */
const TICKS_PER_SECOND = 100;

/** Seconds of CPU that a process has used so far, user and system together. */
export function cpuSeconds(pid: number): number {
  // The name of the program, in brackets, may hold blanks.
  const fields = readFileSync(`/proc/${pid}/stat`, "utf8")
    .replace(/^.*\) /s, "")
    .split(" ");
  return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND;
}
