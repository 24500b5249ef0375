import { setTimeout as delay } from "node:timers/promises";
import { KeysteadError } from "../../src/errors.ts";

/** A process that does not listen by then has ended or never will. */
const DEADLINE_MS = 30_000;

/** Resolves when the address answers with success. */
export async function whenServed(url: string): Promise<void> {
  for (const giveUpAt = performance.now() + DEADLINE_MS; performance.now() < giveUpAt; await delay(50)) {
    try {
      if ((await fetch(url)).ok) return;
    } catch {
      // Not listening yet.
    }
  }
  throw new KeysteadError("part_failed", `${url} did not answer within ${DEADLINE_MS / 1_000} s`);
}
