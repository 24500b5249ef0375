/** Cores that were busy, on average, while replicas were asked as fast as they answered. */
export interface CoresUsed {
  /** Of the machine. */
  readonly all: number;
  /** By whomever. */
  readonly busy: number;
  readonly generator: number;
  readonly replicas: readonly number[];
}

/** Share from which on something counts as busy: what is left goes to waits of microseconds that nobody can fill. */
const BUSY = 0.85;

/**
 * What kept replicas from answering more, or undefined when it was themselves: each used up the one core that it can, and
 * there were others left.
 */
export function boundOf({ all, busy, generator, replicas }: CoresUsed): string | undefined {
  if (busy >= BUSY * all) return `all ${all} cores are busy`;
  if (generator >= BUSY) return "the load generator";
  if (replicas.some((cores) => cores < BUSY)) return "Postgres, for which replicas wait";
  return undefined;
}
