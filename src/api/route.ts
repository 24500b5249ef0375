import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import type { Cidr } from "../cidr.ts";
import { asKeysteadError, KeysteadError } from "../errors.ts";
import type { ApiMetrics } from "../telemetry/api-metrics.ts";
import type { Log } from "../telemetry/log.ts";
import type { Verdict } from "../telemetry/readiness.ts";
import type { Vault } from "../vault/context.ts";
import { CROSS_ORIGIN_HEADERS } from "./cross-origin.ts";
import { errorAnswer } from "./error-answer.ts";
import type { Certificate } from "./certificate.ts";
import type { Caller, Gate } from "./gate.ts";
import type { RequestLimits } from "./request-limits.ts";
import { closeAfter } from "./server.ts";

/** What the API works with. */
export interface ApiDeps {
  readonly vault: Vault;
  readonly metrics: ApiMetrics;
  readonly log: Log;
  /** Answers `/readyz`. */
  readonly readyz: () => Verdict;
  /** Proxies whose `X-Forwarded-For` is believed. */
  readonly trustedProxies: readonly Cidr[];
  readonly limits: RequestLimits;
  /** Absent: plain HTTP. */
  readonly certificate?: Certificate | undefined;
  /** Breaks off the requests that are still in flight while the API ends; without it they have all the time they need. */
  readonly cutOff?: AbortSignal;
}

/** What the routes work with. */
export interface RouteDeps extends ApiDeps {
  /** Whether the process is about to end, so that the connection of an answer must not be kept. */
  readonly ending: () => boolean;
  /** From the request to its answer, whatever it waits for. */
  readonly answerWithinMs: number;
  readonly gate: Gate;
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
 * Serves `GET` on each of the paths (the first is the documented one, the others are deprecated aliases). The gate
 * comes before anything else; whether the key opens anything is part of the route's own statement as well, so that a revoked
 * key is refused by the next request on every replica.
 */
export function serveRead(app: FastifyInstance, deps: RouteDeps, paths: readonly string[], read: Read): void {
  const [route = ""] = paths;
  const letIn = async (request: FastifyRequest, reply: FastifyReply) => {
    const startedAt = performance.now();
    const caller = await deps.gate.admit(request, reply);
    // It has been answered by then: nothing is read for nobody.
    if (performance.now() - startedAt > deps.answerWithinMs) throw late(deps.answerWithinMs);
    return read(request, caller);
  };
  const handle = async (request: FastifyRequest, reply: FastifyReply) => {
    const startedAt = performance.now();
    try {
      const text = await within(deps.answerWithinMs, letIn(request, reply));
      reply.headers(HEADERS);
      return text;
    } catch (thrown) {
      return refuse(deps, reply, deps.gate.judge(thrown, request));
    } finally {
      if (deps.ending()) closeAfter(reply);
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
      reject(late(milliseconds));
    }, milliseconds);
  });
  try {
    return await Promise.race([work, over]);
  } finally {
    clearTimeout(limit);
  }
}

function late(milliseconds: number): KeysteadError {
  return new KeysteadError("database_timeout", `the database did not answer within ${milliseconds} ms`);
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
  const requestId = reply.request.id;
  // An outage of the database would write a line for each request; the watch on the database says it once.
  if (error.status === 503) log.debug({ error, route, requestId }, "a request could not be answered");
  else log.error({ error, route, requestId }, "a request failed");
}
