/** What the clients of `unknown-keys-process.ts` do. */
export interface UnknownKeysTask {
  readonly port: number;
  /** Clients, each of which asks again as soon as it has its answer. */
  readonly clients: number;
  /** Requests that come from one address before the next one is taken; null: all come from one. */
  readonly requestsOfAddress: number | null;
}

/** How they were answered since they had begun. */
export interface UnknownKeysResult {
  readonly answersPerSecond: number;
  /** Share of 429; all others were 401. */
  readonly tooMany: number;
}
