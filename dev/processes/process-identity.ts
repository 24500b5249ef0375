import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { z } from "zod";

/**
 * A process as it can be found again later. The pid alone is not enough: the system hands it out anew, and ending
 * "our" pid after a reboot or in a restarted container would hit a stranger.
 */
export type ProcessIdentity = z.infer<typeof processIdentity>;

/** How an identity is written to a file. `startedAt` is opaque: equal only for the same process of the same boot. */
export const processIdentity = z.object({ pid: z.int().positive(), startedAt: z.string() });

/** The identity of a running process; `undefined` when there is none. A zombie counts as ended: nobody can end it again. */
export function identify(pid: number): ProcessIdentity | undefined {
  const startedAt = process.platform === "linux" ? startOnLinux(pid) : startElsewhere(pid);
  return startedAt === undefined ? undefined : { pid, startedAt };
}

/** Whether that very process still runs. */
export function isRunning(identity: ProcessIdentity): boolean {
  return identify(identity.pid)?.startedAt === identity.startedAt;
}

/** Sends a signal unless the process has ended or its pid belongs to another one by now. */
export function signalProcess(identity: ProcessIdentity, signal: NodeJS.Signals): void {
  if (!isRunning(identity)) return;
  try {
    process.kill(identity.pid, signal);
  } catch {
    // It ended between the two lines, which is what the caller wants.
  }
}

function startOnLinux(pid: number): string | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "latin1");
    // proc_pid_stat(5): the name in parentheses may hold spaces and parentheses, so fields are counted from the last one.
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    const [state, startTicks] = [fields[0], fields[19]];
    if (state === "Z" || state === "X" || startTicks === undefined) return undefined;
    // Ticks count from boot: the boot id keeps two boots apart.
    return `${readFileSync("/proc/sys/kernel/random/boot_id", "latin1").trim()}/${startTicks}`;
  } catch {
    // No such process, or one that ended while it was read.
    return undefined;
  }
}

function startElsewhere(pid: number): string | undefined {
  try {
    const line = execFileSync("ps", ["-o", "state=,lstart=", "-p", String(pid)], { encoding: "utf8" }).trim();
    return line === "" || line.startsWith("Z") ? undefined : line.replace(/^\S+\s+/, "");
  } catch {
    // ps answers with an exit code when there is no such process.
    return undefined;
  }
}
