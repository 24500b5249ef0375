import { networkOf } from "../cidr.ts";
import { tokenFingerprint } from "../crypto/token.ts";
import { asKeysteadError, KeysteadError } from "../errors.ts";
import { secondsUntil, take, type Rate, type TokenBucket } from "./token-bucket.ts";

/**
 * Failures of one address that are answered 401: an application with an old key and a few pods tries less often, and of
 * 32 random bytes nobody guesses a notable part at this rate or at any other. The limit is for the log and for the way
 * to the database.
 */
const RATE: Rate = { burst: 60, perSecond: 1 };

/** Addresses that are remembered, those that failed last: 2 MB. */
const MAX_ADDRESSES = 10_000;

/** One address has a line this often; the line says how many failures had none. */
const LOG_INTERVAL_MS = 60_000;

/** Lines of all addresses together: somebody with a whole network of them fills no disk. */
const LOG_RATE: Rate = { burst: 20, perSecond: 5 };

/** Whose authentication failed, as far as the request says. */
export interface FailedCaller {
  readonly address: string;
  /** Absent when the request has nothing that could be a key. */
  readonly keyDigest?: Buffer | undefined;
  readonly requestId?: string;
}

/** Counts refused authentications by address; IPv6 by network of 64 bits. */
export interface AuthenticationFailures {
  /**
   * What the caller is told: the refusal, or `too_many_request` once its address had too many. Whatever is no refused
   * authentication comes back as it is. It judges only what was refused already, so a good key behind the same address
   * never notices.
   */
  judge(thrown: unknown, caller: FailedCaller): unknown;
}

interface FailuresOptions {
  readonly metrics: { refused(code: string): void };
  readonly log: { warn(fields: object, message: string): void };
  /** Milliseconds of a clock that does not step back. */
  readonly now?: () => number;
}

interface Failing extends TokenBucket {
  loggedAt: number;
  unlogged: number;
}

/** Remembers nothing yet. */
export function createAuthenticationFailures(options: FailuresOptions): AuthenticationFailures {
  const { metrics, log, now = () => performance.now() } = options;
  const addresses = new Map<string, Failing>();
  const lines: TokenBucket = { tokens: LOG_RATE.burst, filledAt: now() };

  const failingAt = (address: string): Failing => {
    const network = networkOf(address);
    const fresh = { tokens: RATE.burst, filledAt: now(), loggedAt: -Infinity, unlogged: 0 };
    const failing = addresses.get(network) ?? fresh;
    // Whoever failed last stands last.
    addresses.delete(network);
    addresses.set(network, failing);
    const [first] = addresses.keys();
    if (addresses.size > MAX_ADDRESSES && first !== undefined) addresses.delete(first);
    return failing;
  };

  const note = (failing: Failing, code: string, { address, keyDigest, requestId }: FailedCaller): void => {
    const isDue = now() - failing.loggedAt >= LOG_INTERVAL_MS && take(lines, LOG_RATE, now());
    if (!isDue) {
      failing.unlogged += 1;
      return;
    }
    const key = keyDigest === undefined ? {} : { keyFingerprint: tokenFingerprint(keyDigest) };
    log.warn({ address, code, ...key, requestId, unlogged: failing.unlogged }, "an authentication was refused");
    failing.loggedAt = now();
    failing.unlogged = 0;
  };

  return {
    judge(thrown, caller) {
      if (!isRefusedAuthentication(thrown)) return thrown;
      const error = asKeysteadError(thrown);
      metrics.refused(error.code);
      const failing = failingAt(caller.address);
      note(failing, error.code, caller);
      if (take(failing, RATE, now())) return error;
      return new KeysteadError(
        "too_many_request",
        "Too many requests from this address had no key that opens an environment. A good key is not held up.",
        { cause: error, details: { retryAfterSeconds: secondsUntil(1, failing, RATE) } },
      );
    },
  };
}

/** Whether a request ended because of who asks. */
export function isRefusedAuthentication(thrown: unknown): boolean {
  const { status, code } = asKeysteadError(thrown);
  return status === 401 || code === "address_not_allowed";
}
