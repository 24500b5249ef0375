/** How many things may be done at once, and how many a second in the long run. */
export interface Rate {
  readonly burst: number;
  readonly perSecond: number;
}

/** What may be done at the moment. Full at first; below 0 it owes. */
export interface TokenBucket {
  tokens: number;
  /** Up to when it was filled, in milliseconds. */
  filledAt: number;
}

/** Puts in what came since the last time. */
export function fill(bucket: TokenBucket, { burst, perSecond }: Rate, now: number): void {
  const seconds = Math.max(0, now - bucket.filledAt) / 1_000;
  bucket.tokens = Math.min(burst, bucket.tokens + seconds * perSecond);
  bucket.filledAt = Math.max(now, bucket.filledAt);
}

/** Takes one token if there is a whole one. */
export function take(bucket: TokenBucket, rate: Rate, now: number): boolean {
  fill(bucket, rate, now);
  if (bucket.tokens < 1) return false;
  bucket.tokens -= 1;
  return true;
}

/** Whole seconds, at least 1, after which that many tokens are in it, if nobody takes any. */
export function secondsUntil(tokens: number, bucket: TokenBucket, { perSecond }: Rate): number {
  return Math.max(1, Math.ceil((tokens - bucket.tokens) / perSecond));
}
