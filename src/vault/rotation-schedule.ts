/** An instant of the database's clock, and how far off it was when it was read: nobody has to compare two clocks. */
export interface Deadline {
  readonly at: Date;
  /** Milliseconds, negative once it has passed. */
  readonly inMs: number;
}

/**
 * Part of the interval that may be taken off, so that environments that were made together are not rotated together.
 * Nothing is ever added: an interval is a deadline.
 */
const JITTER = 0.1;

/** SQL: the instant of the next rotation of a key that was issued at `from`; null where the interval is. */
export function nextRotation(from: string, seconds: string): string {
  return `${from} + make_interval(secs => ${seconds} * (1 - ${JITTER} * random()))`;
}

/** SQL: milliseconds until an instant, by the database's clock. */
export function millisecondsUntil(instant: string): string {
  return `extract(epoch from ${instant} - now())::double precision * 1000`;
}

/** An instant and its distance, as two columns hold them. */
export function deadlineOf(at: Date | null, inMs: number | null): Deadline | undefined {
  return at && inMs !== null ? { at, inMs } : undefined;
}
