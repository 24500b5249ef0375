import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import type { Cidr } from "../cidr.ts";
import { asKeysteadError, KeysteadError } from "../errors.ts";
import type { ApiMetrics } from "../telemetry/api-metrics.ts";
import type { Log } from "../telemetry/log.ts";
import type { Verdict } from "../telemetry/readiness.ts";
import type { Vault } from "../vault/context.ts";
import type { AuthenticationFailures } from "./authentication-failures.ts";
import { keyDigestOf } from "./authentication.ts";
import { CROSS_ORIGIN_HEADERS } from "./cross-origin.ts";
import { errorAnswer } from "./error-answer.ts";

/** What the API works with. */
export interface ApiDeps {
  readonly vault: Vault;
  readonly metrics: ApiMetrics;
  readonly log: Log;
  /** Answers `/readyz`. */
  readonly readyz: () => Verdict;
  /** Proxies whose `X-Forwarded-For` is believed. */
  readonly trustedProxies: readonly Cidr[];
  /** Breaks off the requests that are still in flight while the API ends; without it they have all the time they need. */
  readonly cutOff?: AbortSignal;
}

/** What the routes work with. */
export interface RouteDeps extends ApiDeps {
  /** Whether the process is about to end, so that the connection of an answer must not be kept. */
  readonly ending: () => boolean;
  /** From the request to its answer, whatever it waits for. */
  readonly answerWithinMs: number;
  /** Where a request came from, past the proxies that are trusted. */
  readonly addressOf: (request: FastifyRequest) => string;
  readonly failures: AuthenticationFailures;
}

/** Who asks: the digest of the secret key, which the route's one statement looks up, and where from. */
export interface Caller {
  readonly keyDigest: Buffer;
  readonly address: string;
}

/** Gives the answer as JSON text. */
type Read = (request: FastifyRequest, caller: Caller) => Promise<string>;

/** Nothing between us and the caller may keep a credential; nothing may take JSON for a page. */
const HEADERS = {
  ...CROSS_ORIGIN_HEADERS,
  "content-type": "application/json; charset=utf-8",
  "cache-control": "no-store",
  "x-content-type-options": "nosniff",
};

/**
 * Serves `GET` on each of the paths (the first is the documented one, the others are deprecated aliases). The key is
 * checked for junk before anything else; whether it opens anything is part of the route's own statement, so that a
 * revoked key is refused by the next request on every replica.
 */
export function serveRead(app: FastifyInstance, deps: RouteDeps, paths: readonly string[], read: Read): void {
  const [route = ""] = paths;
  const handle = async (request: FastifyRequest, reply: FastifyReply) => {
    const startedAt = performance.now();
    const address = deps.addressOf(request);
    let keyDigest: Buffer | undefined;
    try {
      keyDigest = keyDigestOf(request.headers.authorization);
      const caller = { keyDigest, address };
      const text = await within(deps.answerWithinMs, read(request, caller));
      reply.headers(HEADERS);
      return text;
    } catch (thrown) {
      return refuse(deps, reply, deps.failures.judge(thrown, { address, keyDigest }));
    } finally {
      if (deps.ending()) reply.header("connection", "close");
      deps.metrics.answered(route, reply.statusCode, (performance.now() - startedAt) / 1_000);
    }
  };
  for (const path of paths) app.get(path, handle);
}

/** What `work` gives. Rejects with `database_timeout` when it takes longer: all that a read ever waits for is the database. */
async function within<T>(milliseconds: number, work: Promise<T>): Promise<T> {
  let limit: NodeJS.Timeout | undefined;
  const over = new Promise<never>((_resolve, reject) => {
    limit = setTimeout(() => {
      reject(new KeysteadError("database_timeout", `the database did not answer within ${milliseconds} ms`));
    }, milliseconds);
  });
  try {
    return await Promise.race([work, over]);
  } finally {
    clearTimeout(limit);
  }
}

/** Prepares the reply of an error and gives its body. Logs only what is our own doing, since callers' mistakes are many. */
export function refuse(deps: ApiDeps, reply: FastifyReply, thrown: unknown): string {
  const { status, body, retryAfterSeconds } = errorAnswer(thrown);
  // RFC 9110 section 15.5.2: a 401 names the scheme.
  if (status === 401) reply.header("www-authenticate", 'Bearer realm="keystead"');
  if (retryAfterSeconds !== undefined) reply.header("retry-after", String(retryAfterSeconds));
  if (status >= 500) logFailure(deps.log, asKeysteadError(thrown), reply);
  reply.code(status).headers(HEADERS);
  return body;
}

function logFailure(log: Log, error: KeysteadError, reply: FastifyReply): void {
  const route = reply.request.routeOptions.url ?? "unknown";
  // An outage of the database would write a line for each request; the watch on the database says it once.
  if (error.status === 503) log.debug({ error, route }, "a request could not be answered");
  else log.error({ error, route }, "a request failed");
}
