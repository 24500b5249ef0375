import type { Arena } from "./arena.ts";

/** What a table claims, with the figure that was measured. */
export interface Check {
  readonly what: string;
  readonly measured: number;
  readonly limit: { readonly atLeast: number } | { readonly atMost: number } | { readonly under: number };
  /** Printed behind both numbers, with its blank where it needs one. */
  readonly unit: string;
  /** What of this machine keeps the limit out of reach, so that missing it fails nothing. */
  readonly bound?: string | undefined;
}

/** A picture of the figures. */
export interface Plot {
  /** From the root of the repository. */
  readonly path: string;
  /** What it shows, for those who do not see it. */
  readonly title: string;
  readonly svg: string;
}

/** What a table found out. */
export interface Findings {
  /** The first row names the columns. */
  readonly rows: readonly (readonly string[])[];
  readonly checks: readonly Check[];
  /** How it was measured, in sentences. */
  readonly method: readonly string[];
  readonly plot?: Plot;
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

/** Whether nothing is wrong: the limit is kept, or something else than what is measured kept it out of reach. */
export function passed(check: Check): boolean {
  return isKept(check) || check.bound !== undefined;
}

/** What is to be said of a check, in a word or two. */
export function verdictOf(check: Check): string {
  if (isKept(check)) return "ok";
  return check.bound === undefined ? "MISSED" : `bound by: ${check.bound}`;
}

function isKept({ measured, limit }: Check): boolean {
  if ("atLeast" in limit) return measured >= limit.atLeast;
  if ("atMost" in limit) return measured <= limit.atMost;
  return measured < limit.under;
}
