import { readFileSync } from "node:fs";
import { setTimeout as delay } from "node:timers/promises";
import type { Child } from "../../dev/processes/child-process.ts";
import { KeysteadError } from "../../src/errors.ts";

/** Memory just after full garbage collections, in MB. */
export interface MemoryAfterGc {
  /** After ordinary ones, which keep pages that they emptied: 2 MB of them come and go with whatever happened last. */
  readonly rssOrdinary: number;
  /** After those of the last resort, which give the pages back. */
  readonly rss: number;
  /** JavaScript heap and what it holds outside of itself (buffers). */
  readonly used: number;
}

const MARK = "memory after a garbage collection: ";

/**
 * Runs in the measured process, so it is plain JavaScript that needs no type stripping, which would cost memory itself.
 * Several collections of each kind, a moment apart: the first frees what finalizers of the next hold on to.
 */
const PROBE = `
async function collect(flavor) {
  for (let round = 0; round < 4; round += 1) {
    gc({ type: "major", flavor });
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
  const { rss, heapUsed, external } = process.memoryUsage();
  return { rss: rss / 1e6, used: (heapUsed + external) / 1e6 };
}
process.on("SIGUSR2", async () => {
  const ordinary = await collect("regular");
  const { rss, used } = await collect("last-resort");
  console.log(${JSON.stringify(MARK)} + JSON.stringify({ rssOrdinary: ordinary.rss, rss, used }));
});`;

/** Arguments of node that make a process answer `memoryAfterGc`. */
export const GC_PROBE = ["--expose-gc", "--import", `data:text/javascript,${encodeURIComponent(PROBE)}`];

const DEADLINE_MS = 30_000;

/** Has a process that was started with the probe collect its garbage, and resolves with what is left. */
export async function memoryAfterGc({ pid, logFile, name }: Child): Promise<MemoryAfterGc> {
  const earlier = answersIn(logFile).length;
  process.kill(pid, "SIGUSR2");
  for (const giveUpAt = performance.now() + DEADLINE_MS; performance.now() < giveUpAt; await delay(100)) {
    const answer = answersIn(logFile)[earlier];
    if (answer !== undefined) return answer;
  }
  throw new KeysteadError("part_failed", `${name} did not answer the probe within ${DEADLINE_MS / 1_000} s`);
}

function answersIn(logFile: string): MemoryAfterGc[] {
  const lines = readFileSync(logFile, "utf8").split("\n");
  return lines
    .filter((line) => line.startsWith(MARK))
    .map((line): MemoryAfterGc => JSON.parse(line.slice(MARK.length)));
}
