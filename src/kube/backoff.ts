/**
 * Delay before the attempt after `failures` failed ones: exponential with full jitter (uniform between nothing and the
 * exponential bound), which spreads a crowd of retries best. Milliseconds; `failures` starts at 1.
 */
export function fullJitter(
  failures: number,
  baseMs: number,
  capMs: number,
  random: () => number = Math.random,
): number {
  return random() * exponential(failures, baseMs, capMs);
}

/**
 * Like `fullJitter`, but never below half of the bound: where a quick retry would only burn CPU, as in a work queue whose
 * first delays are a few milliseconds.
 */
export function halfJitter(
  failures: number,
  baseMs: number,
  capMs: number,
  random: () => number = Math.random,
): number {
  return (0.5 + random() / 2) * exponential(failures, baseMs, capMs);
}

function exponential(failures: number, baseMs: number, capMs: number): number {
  return Math.min(capMs, baseMs * 2 ** Math.min(failures - 1, 30));
}
