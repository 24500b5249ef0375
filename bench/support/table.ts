import type { Arena } from "./arena.ts";

/** What a table claims, with the figure that was measured. */
export interface Check {
  readonly what: string;
  readonly measured: number;
  readonly limit: { readonly atLeast: number } | { readonly atMost: number } | { readonly under: number };
  /** Printed behind both numbers, with its blank where it needs one. */
  readonly unit: string;
}

/** What a table found out. */
export interface Findings {
  /** The first row names the columns. */
  readonly rows: readonly (readonly string[])[];
  readonly checks: readonly Check[];
  /** How it was measured, in sentences. */
  readonly method: readonly string[];
}

export interface Table {
  /** As an argument of `npm run bench`. */
  readonly name: string;
  readonly title: string;
  run(session: Session): Promise<Findings>;
}

/** What tables of one run share, so that 10,000 Connections are not made again for each. */
export interface Session {
  /** Minutes of the steady state. */
  readonly steadyMinutes: number;
  /** Deleted rows that are purged. */
  readonly purgeRows: number;
  /** An arena in which nothing exists yet but Keystead's definitions, for this table alone. */
  freshArena(): Promise<Arena>;
  /** The arena with 10,000 Connections that wait for a controller which was never started; at most the first caller gets it so. */
  waitingArena(): Promise<Arena>;
  /** The arena with 10,000 Connections that a controller has made Ready; no controller runs. */
  settledArena(): Promise<Arena>;
}

export function passed({ measured, limit }: Check): boolean {
  if ("atLeast" in limit) return measured >= limit.atLeast;
  if ("atMost" in limit) return measured <= limit.atMost;
  return measured < limit.under;
}
