import { randomUUID } from "node:crypto";
import { createCidrCheck, parseCidr } from "../cidr.ts";
import type { ExchangedCounts, OtherCount } from "../vault/exchange-request-counts.ts";
import type { EnvironmentLimits } from "../vault/find-limits.ts";
import { fill, secondsUntil, take, type Rate, type TokenBucket } from "./token-bucket.ts";

// Decides how often and from where the keys of one environment may be used. Pure but for what it keeps: no clock, no
// database. Instants are milliseconds of one clock.

/** What a process keeps of an environment whose keys are used. */
export interface EnvironmentLimit {
  limits: EnvironmentLimits;
  admits: (address: string) => boolean;
  readonly bucket: TokenBucket;
  /** Under which others find what was let in. */
  readonly counterId: string;
  /** Requests that were let in while there was a limit. */
  admitted: number;
  /** The same when the others were last told, and what each of them had said of itself. */
  admittedBefore: number;
  others: ReadonlyMap<string, number>;
  askedAt: number;
  usedAt: number;
}

/** What becomes of a request. */
export type Admission =
  | { readonly kind: "elsewhere" }
  | { readonly kind: "admitted"; readonly quota: Quota | undefined }
  | { readonly kind: "exhausted"; readonly quota: Quota; readonly retryAfterSeconds: number };

/** How much of a limit is left. */
export interface Quota {
  readonly perMinute: number;
  readonly burst: number;
  /** Requests that may come at once. */
  readonly remaining: number;
  /** Until the whole burst may. */
  readonly wholeInSeconds: number;
}

/** Exchanges come once a second. Whoever missed some cannot tell what of the others' counts belongs to the last seconds. */
const CONTINUOUS_MS = 3_000;

/** Whoever said nothing for longer has a whole burst again: it fills in 6 s. */
const SILENT_SECONDS = 10;

/** A tenth of what a minute allows, at least one, and each second a sixtieth. */
function rateOf(perMinute: number): Rate {
  return { burst: Math.max(1, Math.floor(perMinute / 10)), perSecond: perMinute / 60 };
}

/** An environment of which nothing was known: its burst is whole until others say something else. */
export function newEnvironmentLimit(limits: EnvironmentLimits, now: number): EnvironmentLimit {
  const { burst } = rateOf(limits.requestsPerMinute);
  return {
    limits,
    admits: addressCheck(limits),
    bucket: { tokens: burst, filledAt: now },
    counterId: randomUUID(),
    admitted: 0,
    admittedBefore: 0,
    others: new Map(),
    askedAt: -Infinity,
    usedAt: now,
  };
}

function addressCheck({ allowedCidrs }: EnvironmentLimits): (address: string) => boolean {
  return allowedCidrs === undefined
    ? () => true
    : createCidrCheck(allowedCidrs.flatMap((text) => parseCidr(text) ?? []));
}

/** Takes in what the environment says now. */
export function renew(limit: EnvironmentLimit, limits: EnvironmentLimits, now: number): void {
  const before = limit.limits;
  limit.limits = limits;
  if (String(before.allowedCidrs) !== String(limits.allowedCidrs)) limit.admits = addressCheck(limits);
  if (before.requestsPerMinute === limits.requestsPerMinute) return;
  const { burst } = rateOf(limits.requestsPerMinute);
  fill(limit.bucket, rateOf(before.requestsPerMinute), now);
  // Where there was no limit nothing was counted.
  limit.bucket.tokens = before.requestsPerMinute === 0 ? burst : Math.min(burst, limit.bucket.tokens);
}

/** Lets a request in or not; one that is not let in counts for nothing. */
export function admit(limit: EnvironmentLimit, address: string, now: number): Admission {
  limit.usedAt = now;
  if (!limit.admits(address)) return { kind: "elsewhere" };
  const perMinute = limit.limits.requestsPerMinute;
  if (perMinute === 0) return { kind: "admitted", quota: undefined };
  const rate = rateOf(perMinute);
  if (!take(limit.bucket, rate, now)) {
    const retryAfterSeconds = secondsUntil(1, limit.bucket, rate);
    return { kind: "exhausted", quota: quotaOf(limit.bucket, rate, perMinute), retryAfterSeconds };
  }
  limit.admitted += 1;
  return { kind: "admitted", quota: quotaOf(limit.bucket, rate, perMinute) };
}

/** Takes a request back that was let in and then opened nothing: it counts for nothing, for the others neither. */
export function takeBack(limit: EnvironmentLimit): void {
  limit.admitted -= 1;
  // What is beyond the burst goes with the next request.
  limit.bucket.tokens += 1;
}

function quotaOf(bucket: TokenBucket, rate: Rate, perMinute: number): Quota {
  return {
    perMinute,
    burst: rate.burst,
    remaining: Math.max(0, Math.floor(bucket.tokens)),
    wholeInSeconds: secondsUntil(rate.burst, bucket, rate),
  };
}

/**
 * Takes in what other processes let in, so that all of them together keep the limit. Whoever let in more than there was
 * owes it, at most what a minute allows. A counter that nobody has seen before began since the last look. Where that was too
 * long ago, or never was, what the others believe is left is taken over, less what they cannot know of yet.
 *
 * @param told `admitted` as the others were told.
 */
export function takeIn(limit: EnvironmentLimit, exchanged: ExchangedCounts, told: number, now: number): void {
  renew(limit, exchanged, now);
  const rate = rateOf(limit.limits.requestsPerMinute);
  const { bucket, others } = limit;
  const isContinuous = now - limit.askedAt <= CONTINUOUS_MS;
  const since = limit.admitted - limit.admittedBefore;
  fill(bucket, rate, now);
  for (const other of exchanged.others) {
    if (isContinuous) bucket.tokens -= other.admitted - (others.get(other.counterId) ?? 0);
    else if (other.ageSeconds < SILENT_SECONDS) bucket.tokens = Math.min(bucket.tokens, believed(other, rate) - since);
  }
  bucket.tokens = Math.max(bucket.tokens, -limit.limits.requestsPerMinute);
  limit.others = new Map(exchanged.others.map(({ counterId, admitted }) => [counterId, admitted]));
  limit.admittedBefore = told;
  limit.askedAt = now;
}

function believed({ tokens, ageSeconds }: OtherCount, { burst, perSecond }: Rate): number {
  return Math.min(burst, tokens + ageSeconds * perSecond);
}
