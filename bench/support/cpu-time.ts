import { readFileSync } from "node:fs";
import { cpus } from "node:os";

/** Clock ticks a second in /proc: fixed on Linux, whatever the kernel's own rate is (see proc(5), sysconf(_SC_CLK_TCK)). */
const TICKS_PER_SECOND = 100;

/** Seconds of CPU that a process has used so far, user and system together. */
export function cpuSeconds(pid: number): number {
  const { own } = cpuTicks(pid);
  return own / TICKS_PER_SECOND;
}

/** The same of a process together with its children, those that have ended among them. */
export function cpuSecondsOfFamily(pid: number): number {
  const { own, ofEndedChildren } = cpuTicks(pid);
  const children = readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").trim().split(" ").filter(Boolean);
  const ofChildren = children.map((child) => {
    try {
      return cpuTicks(Number(child)).own;
    } catch {
      // It ended just now, and counts with the ended ones next time.
      return 0;
    }
  });
  return (own + ofEndedChildren + ofChildren.reduce((total, ticks) => total + ticks, 0)) / TICKS_PER_SECOND;
}

/** Seconds that all cores of the machine have been busy so far, whoever kept them so. */
export function busySeconds(): number {
  const busy = cpus().map(({ times }) => times.user + times.nice + times.sys + times.irq);
  return busy.reduce((total, milliseconds) => total + milliseconds, 0) / 1_000;
}

function cpuTicks(pid: number): { readonly own: number; readonly ofEndedChildren: number } {
  // The name of the program, in brackets, may hold blanks.
  const fields = readFileSync(`/proc/${pid}/stat`, "utf8")
    .replace(/^.*\) /s, "")
    .split(" ");
  const [user, system, userOfChildren, systemOfChildren] = fields.slice(11, 15).map(Number);
  return {
    own: (user ?? Number.NaN) + (system ?? Number.NaN),
    ofEndedChildren: (userOfChildren ?? Number.NaN) + (systemOfChildren ?? Number.NaN),
  };
}
