import { rmSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { z } from "zod";
import { isRunning, processIdentity, signalProcess } from "./process-identity.ts";
import type { ProcessIdentity } from "./process-identity.ts";
import { readState, writeText } from "../state-file.ts";

/** The signals that ask one of our programs to end in order. */
const stopSignal = z.enum(["SIGTERM", "SIGINT"]);
export type StopSignal = z.infer<typeof stopSignal>;

const recordedProcess = processIdentity.extend({ name: z.string(), stopSignal });

/** A process that was started for a directory, as the directory remembers it. */
export type RecordedProcess = z.infer<typeof recordedProcess>;

/** How long a leftover has to end by its own signal. Postgres needs the longest: it still writes a checkpoint. */
const GRACE_MS = 5_000;

const recordPath = (directory: string): string => join(directory, "processes.json");

/** Writes which processes run for the directory. */
export function writeRecord(directory: string, processes: readonly RecordedProcess[]): void {
  writeText(recordPath(directory), JSON.stringify(processes));
}

/**
 * Ends what an earlier owner of the directory left running and resolves with the names of what it ended. Only
 * processes whose pid and start time are both as recorded are touched. The caller holds the directory's lock.
 */
export async function endLeftovers(directory: string): Promise<string[]> {
  const leftovers = (readState(recordPath(directory), z.array(recordedProcess)) ?? []).filter((recorded) =>
    isRunning(recorded),
  );
  for (const leftover of leftovers) signalProcess(leftover, leftover.stopSignal);
  await allEnded(leftovers, GRACE_MS);
  for (const leftover of leftovers) signalProcess(leftover, "SIGKILL");
  await allEnded(leftovers, GRACE_MS);
  rmSync(recordPath(directory), { force: true });
  return leftovers.map((leftover) => leftover.name);
}

async function allEnded(processes: readonly ProcessIdentity[], deadlineMs: number): Promise<void> {
  const deadline = Date.now() + deadlineMs;
  while (Date.now() < deadline && processes.some((recorded) => isRunning(recorded))) await delay(20);
}
