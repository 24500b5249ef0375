/** Pause before the first retry; each further one is twice as long, up to the longest. */
const FIRST_MS = 500;
const LONGEST_MS = 30_000;

/** A `Retry-After` beyond this is the caller's to keep: its answer is given, with the header. */
const LONGEST_RETRY_AFTER_MS = 60_000;

/** Answers that say that the same request may succeed later. */
const TEMPORARY: ReadonlySet<number> = new Set([429, 500, 502, 503, 504]);

/** Whether an answer of this status is worth another attempt. */
export function isTemporary(status: number, retryOn: ReadonlySet<number>): boolean {
  return TEMPORARY.has(status) || retryOn.has(status);
}

/**
 * Milliseconds before the next attempt; undefined if the provider asks for a longer pause than is waited here. Pure.
 *
 * @param failures attempts that failed, from 1
 * @param random from 0 to 1: pauses are spread over half to all of their length, so that callers do not come back at once
 */
export function pauseBefore(
  failures: number,
  retryAfter: string | undefined,
  { now, random }: { readonly now: number; readonly random: number },
): number | undefined {
  const backoff = Math.min(FIRST_MS * 2 ** (failures - 1), LONGEST_MS) * (0.5 + random / 2);
  const asked = retryAfterMs(retryAfter, now);
  if (asked === undefined) return backoff;
  return asked > LONGEST_RETRY_AFTER_MS ? undefined : Math.max(asked, backoff);
}

/** Seconds or a date (RFC 9110 section 10.2.3). */
function retryAfterMs(header: string | undefined, now: number): number | undefined {
  if (header === undefined) return undefined;
  if (/^\d{1,9}$/.test(header)) return Number(header) * 1_000;
  const at = Date.parse(header);
  return Number.isNaN(at) ? undefined : Math.max(0, at - now);
}
