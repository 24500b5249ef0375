import { setTimeout as delay } from "node:timers/promises";
import type { FastifyReply, FastifyRequest } from "fastify";
import { Secret } from "../crypto/secret.ts";
import { hasCode, KeysteadError } from "../errors.ts";
import { type AuthenticationFailures, isRefusedAuthentication } from "./authentication-failures.ts";
import { unknownKey } from "../vault/admit-key.ts";
import { keyDigestOf } from "./authentication.ts";
import { admit, type EnvironmentLimit, type Quota, takeBack } from "./environment-limit.ts";
import type { RequestLimits } from "./request-limits.ts";
import { refusedServiceAccount, serviceAccountTokenIn, type ServiceAccountTokens } from "./service-account-tokens.ts";

/** Who asks: the digest of the secret key, or of the ServiceAccount in place of one, which the route's one statement looks up, and where from. */
export interface Caller {
  readonly keyDigest: Buffer;
  readonly address: string;
}

/** Where every request that needs a key comes through. */
export interface Gate {
  /**
   * Lets a request in, and says in the headers of the answer how many more may come. That the key still opens something is
   * for the route's own statement: a revoked one gets no further than this by what was known a second ago, and then `judge`
   * takes back what it counted.
   *
   * Rejects with one of the codes of 401, `address_not_allowed`, `too_many_request` or a `database_*` error.
   */
  admit(request: FastifyRequest, reply: FastifyReply): Promise<Caller>;
  /**
   * What the caller is told in place of whatever a request ended with; see `AuthenticationFailures`. A refused
   * authentication is told a moment later, whatever it was refused for: somebody without a good key asks four times a second
   * at most for each request that he keeps under way, up to 100 on a connection, and good keys do not wait for his look-ups.
   */
  judge(thrown: unknown, request: FastifyRequest, reply: FastifyReply): Promise<unknown>;
}

interface GateOptions {
  readonly limits: RequestLimits;
  readonly failures: AuthenticationFailures;
  readonly tokens: ServiceAccountTokens;
  /** Where a request came from, past the proxies that are trusted. */
  readonly addressOf: (request: FastifyRequest) => string;
}

/** What a request took of the limit of its environment. */
interface Counted {
  readonly keyDigest: Buffer;
  readonly limit: EnvironmentLimit;
}

/** From the refusal of an authentication to its answer. */
const REFUSED_AFTER_MS = 250;

/** Keeps of each connection the key that came last. */
export function createGate({ limits, failures, tokens, addressOf }: GateOptions): Gate {
  const digestOf = createKeyDigests();
  const counted = new WeakMap<FastifyRequest, Counted>();
  return {
    async admit(request, reply) {
      const token = serviceAccountTokenIn(request.headers.authorization);
      const keyDigest =
        token === undefined ? digestOf(request) : await tokens.digestOf(token, environmentNamed(request));
      const address = addressOf(request);
      const found = limits.of(keyDigest);
      let limit = found instanceof Promise ? await found : found;
      let admission = limit && admit(limit, address, performance.now());
      if (admission?.kind === "elsewhere") {
        // Told to nobody by what is remembered of a key, which may be revoked by now.
        limit = await limits.anew(keyDigest);
        admission = limit && admit(limit, address, performance.now());
      }
      if (!limit || !admission) throw token === undefined ? unknownKey() : refusedServiceAccount();
      if (admission.kind === "elsewhere") throw notFrom(address);
      if (admission.quota) reply.headers(quotaHeaders(admission.quota));
      if (admission.kind === "exhausted") throw exhausted(admission.quota, admission.retryAfterSeconds);
      if (admission.quota) counted.set(request, { keyDigest, limit });
      return { keyDigest, address };
    },
    async judge(thrown, request, reply) {
      const admission = counted.get(request);
      if (admission && hasCode(thrown, "unknown_account")) {
        limits.forget(admission.keyDigest);
        takeBack(admission.limit);
        for (const name of QUOTA_HEADERS) reply.removeHeader(name);
      }
      const told = failures.judge(thrown, {
        address: addressOf(request),
        keyDigest: orUndefined(() => digestOf(request)),
        requestId: request.id,
      });
      if (isRefusedAuthentication(thrown)) await delay(REFUSED_AFTER_MS);
      return told;
    },
  };
}

/**
 * The digests of keys. An application keeps its connections and sends the same key on each, so what the last request of a
 * connection came with is checked and hashed once.
 */
function createKeyDigests(): (request: FastifyRequest) => Buffer {
  const last = new WeakMap<object, { readonly authorization: Secret; readonly keyDigest: Buffer }>();
  return ({ socket, headers: { authorization } }) => {
    const known = last.get(socket);
    if (known !== undefined && known.authorization.reveal() === authorization) return known.keyDigest;
    const keyDigest = keyDigestOf(authorization);
    if (authorization !== undefined) last.set(socket, { authorization: new Secret(authorization), keyDigest });
    return keyDigest;
  };
}

function environmentNamed({ headers }: FastifyRequest): string | undefined {
  const name = headers["keystead-environment"];
  return typeof name === "string" ? name : undefined;
}

/** Undefined for a request whose key is missing or malformed, which is what it was refused for. */
function orUndefined(digest: () => Buffer): Buffer | undefined {
  try {
    return digest();
  } catch (thrown) {
    if (hasCode(thrown, "internal_error")) throw thrown;
    return undefined;
  }
}

const QUOTA_HEADERS = [
  "x-ratelimit-limit",
  "x-ratelimit-remaining",
  "x-ratelimit-reset",
  "ratelimit-policy",
  "ratelimit",
] as const;

/**
 * `X-RateLimit-*` as clients of the contract know them, and the fields of draft-ietf-httpapi-ratelimit-headers-10, where
 * the burst is the policy that a caller meets first.
 */
function quotaHeaders({
  perMinute,
  burst,
  remaining,
  wholeInSeconds,
}: Quota): Record<(typeof QUOTA_HEADERS)[number], string> {
  return {
    "x-ratelimit-limit": String(perMinute),
    "x-ratelimit-remaining": String(remaining),
    "x-ratelimit-reset": String(Math.ceil(Date.now() / 1_000) + wholeInSeconds),
    "ratelimit-policy": `"burst";q=${burst};w=${Math.ceil((burst / perMinute) * 60)}, "minute";q=${perMinute};w=60`,
    ratelimit: `"burst";r=${remaining};t=${wholeInSeconds}`,
  };
}

function notFrom(address: string): KeysteadError {
  return new KeysteadError("address_not_allowed", `The keys of this environment may not be used from ${address}.`);
}

function exhausted({ perMinute, burst }: Quota, retryAfterSeconds: number): KeysteadError {
  return new KeysteadError(
    "too_many_request",
    `The environment may be asked ${perMinute} times a minute, and ${burst} times at once. Try again in ${retryAfterSeconds} s.`,
    { details: { retryAfterSeconds } },
  );
}
