/** Times of a reflector in milliseconds, unless the name says otherwise. Only tests have others than the defaults. */
export interface ReflectorTiming {
  /** Shortest and longest time the server is asked to keep a watch open: drawn anew each time, so that watches do not end together. */
  readonly watchSeconds: readonly [shortest: number, longest: number];
  /** Silence beyond the end of a watch that means the connection is dead. */
  readonly graceMs: number;
  /** The same as soon as the server has shown that it sends bookmarks, which come about each minute: three of them missed. */
  readonly silenceAfterBookmarkMs: number;
  readonly backoffMs: number;
  readonly backoffCapMs: number;
  /** A watch that lived so long was healthy: the next failure counts as the first. */
  readonly healthyMs: number;
  /** Least time between two openings where the server closes in good order, so that one that closes at once is not hammered. */
  readonly reopenMs: number;
}

/** Those of production. */
export const REFLECTOR_TIMING: ReflectorTiming = {
  watchSeconds: [300, 600],
  graceMs: 30_000,
  silenceAfterBookmarkMs: 190_000,
  // 0.8 s to 30 s, as client-go's reflector.
  backoffMs: 800,
  backoffCapMs: 30_000,
  // Not the two minutes of client-go: behind a proxy that cuts quiet connections after half a minute the delays would grow to 30 s.
  healthyMs: 20_000,
  reopenMs: 1_000,
};

/** Longest time in which a loop that is well shows no sign of life: a watch that is not even given up, then a wait, then a call. */
export function longestQuietMs(timing: ReflectorTiming): number {
  return timing.watchSeconds[1] * 1_000 + timing.graceMs + timing.backoffCapMs + 60_000;
}
