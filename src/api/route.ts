import type { FastifyInstance, FastifyReply, FastifyRequest, HTTPMethods } from "fastify";
import { Readable } from "node:stream";
import type { z } from "zod";
import type { Cidr } from "../cidr.ts";
import { asKeysteadError, KeysteadError } from "../errors.ts";
import type { Outbound, OutboundLimits } from "../outbound/outbound.ts";
import type { Scope } from "../scopes.ts";
import type { ApiMetrics } from "../telemetry/api-metrics.ts";
import type { Log } from "../telemetry/log.ts";
import type { Verdict } from "../telemetry/readiness.ts";
import type { Vault } from "../vault/context.ts";
import type { Certificate } from "./certificate.ts";
import { CROSS_ORIGIN_HEADERS } from "./cross-origin.ts";
import { errorAnswer } from "./error-answer.ts";
import type { Caller as Admitted, Gate } from "./gate.ts";
import type { RequestLimits } from "./request-limits.ts";
import { parseBody, parsePath, parseQuery } from "./request-schemas.ts";
import { closeAfter } from "./server.ts";

/** What the API works with. */
export interface ApiDeps {
  readonly vault: Vault;
  readonly metrics: ApiMetrics;
  readonly log: Log;
  /** The way out, for the proxy. */
  readonly outbound: Outbound;
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
  /** Of a call to a provider. */
  readonly proxyLimits: OutboundLimits;
}

/** Who asks, and what the route asks for. */
export interface Caller extends Admitted {
  /** Of the route: the key needs one of them. */
  readonly scopes: readonly Scope[];
}

/** JSON text, or its pieces as they are made; the first one is there before anything is sent. */
export type Answer = string | AsyncIterable<string>;

/** What schema and handler of a route say about it; `/openapi.json` is made of the same. */
interface RouteDefinition<Path, Query, Body> {
  readonly method: "GET" | "POST" | "PATCH" | "DELETE";
  /** The documented path, then deprecated aliases. */
  readonly paths: readonly [documented: string, ...aliases: string[]];
  readonly summary: string;
  /** The key needs one of them, or, where there are none, only has to be good. */
  readonly scopes: readonly Scope[];
  readonly path: z.ZodType<Path>;
  readonly query: z.ZodType<Query>;
  readonly body: z.ZodType<Body>;
  /** Headers that the handler checks; most routes look at none of their own. */
  readonly headers?: z.ZodType;
  /** Of the answer. */
  readonly status: 200 | 201;
  readonly answer: z.ZodType;
  /** Rejects with what the request is refused for. Whether the key opens anything is part of the vault's operation. */
  handle(
    request: {
      readonly path: Path;
      readonly query: Query;
      readonly body: Body;
      readonly headers: FastifyRequest["headers"];
    },
    caller: Caller,
    deps: RouteDeps,
  ): Promise<Answer>;
}

/** A route, whatever it takes. */
export interface Route extends Omit<RouteDefinition<unknown, unknown, unknown>, "handle"> {
  /** Checks the request against the route's schemas and handles it. */
  answerTo(request: FastifyRequest, caller: Caller, deps: RouteDeps): Promise<Answer>;
}

/** A route whose bodies and answers are a provider's: what `/openapi.json` and the table of scopes say about it. */
export interface PassedOnRoute {
  readonly methods: readonly HTTPMethods[];
  /** For the router, and as it is documented. */
  readonly path: string;
  readonly documented: string;
  readonly summary: string;
  readonly description: string;
  /** The key needs one of them. */
  readonly scopes: readonly Scope[];
  readonly headers: z.ZodType;
}

/** Everything about a route in one place. */
export function defineRoute<Path, Query, Body>(route: RouteDefinition<Path, Query, Body>): Route {
  return {
    ...route,
    async answerTo(request, caller, deps) {
      const path = parsePath(route.path, request.params);
      const query = parseQuery(route.query, request.query);
      const body = parseBody(route.body, request.body);
      return route.handle({ path, query, body, headers: request.headers }, caller, deps);
    },
  };
}

/** Nothing between us and the caller may keep a credential; nothing may take JSON for a page. */
const HEADERS = {
  ...CROSS_ORIGIN_HEADERS,
  "content-type": "application/json; charset=utf-8",
  "cache-control": "no-store",
  "x-content-type-options": "nosniff",
};

/**
 * Serves a route on each of its paths. The gate comes before anything else, before a body is read too; whether the key opens
 * anything is part of the route's own statement as well, so that a revoked key is refused by the next request on every
 * replica.
 */
export function serveRoute(app: FastifyInstance, deps: RouteDeps, route: Route): void {
  const [documented] = route.paths;
  const admitted = new WeakMap<FastifyRequest, Admitted>();
  const refused = async (request: FastifyRequest, reply: FastifyReply, thrown: unknown): Promise<string> =>
    refuse(deps, reply, await deps.gate.judge(thrown, request, reply));
  const measure = (reply: FastifyReply, startedAt: number): void => {
    if (deps.ending()) closeAfter(reply);
    deps.metrics.answered(documented, reply.statusCode, (performance.now() - startedAt) / 1_000);
  };
  const letIn = async (request: FastifyRequest, reply: FastifyReply): Promise<Answer> => {
    const startedAt = performance.now();
    const caller = admitted.get(request) ?? (await deps.gate.admit(request, reply));
    // It has been answered by then: nothing is done for nobody.
    if (performance.now() - startedAt > deps.answerWithinMs) throw late(deps.answerWithinMs);
    return route.answerTo(request, { ...caller, scopes: route.scopes }, deps);
  };
  const handler = async (request: FastifyRequest, reply: FastifyReply) => {
    const startedAt = performance.now();
    try {
      const answer = await within(deps.answerWithinMs, letIn(request, reply));
      reply.code(route.status).headers(HEADERS);
      return typeof answer === "string" ? answer : streamOf(deps, reply, answer);
    } catch (thrown) {
      return await refused(request, reply, thrown);
    } finally {
      measure(reply, startedAt);
    }
  };
  const admitFirst = async (request: FastifyRequest, reply: FastifyReply): Promise<void> => {
    const startedAt = performance.now();
    try {
      admitted.set(request, await within(deps.answerWithinMs, deps.gate.admit(request, reply)));
    } catch (thrown) {
      const body = await refused(request, reply, thrown);
      measure(reply, startedAt);
      await reply.send(body);
    }
  };
  const onRequest = route.method === "GET" ? [] : [admitFirst];
  for (const url of route.paths) app.route({ method: route.method, url, onRequest, handler });
}

/** One piece at a time, when the caller takes it: a caller who stops reading keeps one of them here, not the whole. */
function streamOf(deps: ApiDeps, reply: FastifyReply, pieces: AsyncIterable<string>): Readable {
  return Readable.from(logged(deps, reply, pieces), { highWaterMark: 1 });
}

/** The status is sent by then: what goes wrong ends the connection before the end of the JSON, and the log says why. */
async function* logged(deps: ApiDeps, reply: FastifyReply, pieces: AsyncIterable<string>): AsyncGenerator<string> {
  try {
    yield* pieces;
  } catch (thrown) {
    logFailure(deps.log, asKeysteadError(thrown), reply);
    throw thrown;
  }
}

/** What `work` gives. Rejects with `database_timeout` when it takes longer: all that a request ever waits for is the database. */
export function within<T>(milliseconds: number, work: Promise<T>): Promise<T> {
  // By hand: `Promise.race` makes several times as many objects, for every request.
  return new Promise((resolve, reject) => {
    const limit = setTimeout(() => {
      reject(late(milliseconds));
    }, milliseconds);
    const stop = (): void => clearTimeout(limit);
    void work.then(resolve, reject).then(stop, stop);
  });
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
  // So would one of a provider, which callers are told of.
  if (error.status === 503 || error.isTold) {
    log.debug({ error, route, requestId }, "a request could not be answered");
  } else log.error({ error, route, requestId }, "a request failed");
}
