import { setTimeout as delay } from "node:timers/promises";

export interface EventuallyOptions {
  /** How long the assertion may keep failing. Generous by default: it bounds a hang and claims nothing about speed. */
  readonly deadlineMs?: number;
}

/**
 * Runs the assertion until it passes and resolves with what it returns. After the deadline it throws the assertion's own
 * last error, so that a failed test says what was still wrong.
 */
export async function eventually<T>(assertion: () => T | Promise<T>, options: EventuallyOptions = {}): Promise<T> {
  const deadline = Date.now() + (options.deadlineMs ?? 30_000);
  for (let pauseMs = 5; ; pauseMs = Math.min(pauseMs * 1.5, 200)) {
    try {
      return await assertion();
    } catch (error) {
      if (Date.now() >= deadline) throw error;
    }
    await delay(pauseMs);
  }
}
