import type { KeysteadError } from "../errors.ts";
import { hasCode } from "../errors.ts";
import { apiErrorDetails } from "./api-error.ts";
import { fullJitter } from "./backoff.ts";

/** A failed attempt. */
export interface RetrySubject {
  readonly error: KeysteadError;
  /** Whether doing the call twice ends as doing it once. */
  readonly idempotent: boolean;
  /** Attempts made so far, at least 1. */
  readonly attempts: number;
}

const BASE_MS = 100;
const CAP_MS = 2_000;

/** Attempts in all when nobody asked for patience. Longer outages belong to the work queue, which knows other work. */
const MAX_ATTEMPTS = 4;

/** A server that says for longer than this to stay away is left to the caller's own back-off. */
const MAX_RETRY_AFTER_MS = 30_000;

/** Raised before a byte of the request was sent, so that any call may be made again. */
const NEVER_SENT = new Set(["ECONNREFUSED", "ENOTFOUND", "EAI_AGAIN", "EHOSTUNREACH", "ENETUNREACH"]);

/**
 * Milliseconds until the next attempt, or undefined when the error is the answer.
 *
 * - 429 means that the server did not begin, whatever the method: waited out as long as it asks for. "Storage is
 *   (re)initializing", the answer of a fresh CRD, comes as 429 as well.
 * - A broken connection, a silent one and a 5xx leave open whether the call took effect: only idempotent calls go again.
 * - Everything else (403, 404, 409, 422 ...) is an answer that another attempt would get again.
 */
export function retryDelayMs(subject: RetrySubject, random: () => number = Math.random): number | undefined {
  const { error, attempts } = subject;
  if (hasCode(error, "kube_throttled")) return patientDelayMs(error, attempts, random);
  if (attempts >= MAX_ATTEMPTS) return undefined;
  if (!isTransient(error) || !(subject.idempotent || wasNeverSent(error))) return undefined;
  return patientDelayMs(error, attempts, random);
}

/** As long as the server asks for, and no shorter than by our own back-off: it may ask for no time at all. */
function patientDelayMs(error: KeysteadError, attempts: number, random: () => number): number | undefined {
  const asked = retryAfterMs(error, random) ?? 0;
  if (asked > MAX_RETRY_AFTER_MS) return undefined;
  return Math.max(asked, fullJitter(attempts, BASE_MS, CAP_MS, random));
}

/** The wish of the server plus up to a quarter, so that those turned away together do not come back together. */
function retryAfterMs(error: KeysteadError, random: () => number): number | undefined {
  const seconds = apiErrorDetails(error)?.retryAfterSeconds;
  return seconds === undefined ? undefined : seconds * 1_000 * (1 + random() / 4);
}

function isTransient(error: KeysteadError): boolean {
  if (hasCode(error, "kube_unreachable") || hasCode(error, "kube_timeout")) return true;
  return hasCode(error, "kube_api_error") && (apiErrorDetails(error)?.status ?? 0) >= 500;
}

function wasNeverSent(error: KeysteadError): boolean {
  return hasCode(error, "kube_unreachable") && NEVER_SENT.has(String(error.details["networkCode"]));
}
