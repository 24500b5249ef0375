/** Gives the instants at which requests are due at a fixed rate, one after the other, whether or not earlier ones were answered. */
export function createSchedule(startedAt: number, perSecond: number): () => number {
  let taken = 0;
  return () => {
    const dueAt = startedAt + (taken * 1_000) / perSecond;
    taken += 1;
    return dueAt;
  };
}

/**
 * What the caller of a request waited. A request that is sent late, because all clients were waiting for answers, has
 * waited since it was due: whoever counts from sending leaves out just what a slow answer does to those behind it. One
 * that is sent a little early, as timers go, waited since then.
 */
export function latencyOf({ dueAt, sentAt, answeredAt }: RequestTimes): number {
  return answeredAt - Math.min(dueAt, sentAt);
}

/** Instants of one clock. */
export interface RequestTimes {
  readonly dueAt: number;
  readonly sentAt: number;
  readonly answeredAt: number;
}
