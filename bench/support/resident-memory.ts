import { readFileSync } from "node:fs";

/** Resident memory of a process now and at its highest, in MB (10^6 bytes), all included: heap, buffers, code, libraries. */
export interface ResidentMemory {
  readonly now: number;
  readonly peak: number;
}

export function residentMemory(pid: number): ResidentMemory {
  const text = readFileSync(`/proc/${pid}/status`, "utf8");
  const megabytes = (field: string): number =>
    (Number(new RegExp(`^${field}:\\s+(\\d+) kB$`, "m").exec(text)?.[1] ?? Number.NaN) * 1_024) / 1_000_000;
  return { now: megabytes("VmRSS"), peak: megabytes("VmHWM") };
}
