import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import type { ServerResponse } from "node:http";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { setTimeout as pause } from "node:timers/promises";
import { z } from "zod";
import { KeysteadError } from "../errors.ts";
import type { OutboundAnswer, OutboundRequest } from "../outbound/outbound.ts";
import { proxy as proxySchema } from "../resources/proxy.ts";
import { type ProxiedConnection, readProxiedConnection } from "../vault/read-proxied-connection.ts";
import { refusedKey } from "./authentication.ts";
import type { Caller } from "./gate.ts";
import { answerHeaders, unpacked } from "./proxy-answer.ts";
import { bodyOf, isStreamed, lengthOf } from "./proxy-body.ts";
import { parseProxyRequest, proxyHeaders, type ProxyRequest } from "./proxy-request.ts";
import { isTemporary, pauseBefore } from "./proxy-retry.ts";
import { type ProxyTarget, targetOf } from "./proxy-target.ts";
import { type PassedOnRoute, refuse, type RouteDeps, within } from "./route.ts";
import { closeAfter } from "./server.ts";
import { swept } from "./swept.ts";

/** The one route whose bodies are not ours. `OPTIONS` is the preflight of a browser, and answered as such. */
export const proxyRoute: PassedOnRoute = {
  methods: ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"],
  path: "/proxy/*",
  documented: "/proxy/{path}",
  summary: "A call of the provider with the credential of a connection put in",
  description:
    "`path` may have any number of parts, and is appended to the integration's base URL together with the query. A header `Nango-Proxy-<name>` is sent on as `<name>`.",
  scopes: ["proxy"],
  headers: proxyHeaders,
};

/** As many as browsers' libraries follow; each is checked anew. */
const REDIRECTS = 5;

/**
 * `ANY /proxy/*`: a call to a provider with the credential of a connection put in. The parsers of the other routes are
 * left out, since the body is the provider's affair.
 */
export function serveProxy(app: FastifyInstance, deps: RouteDeps): void {
  void app.register((scope, _options, registered) => {
    scope.removeAllContentTypeParsers();
    scope.addContentTypeParser("*", (_request, payload, parsed) => parsed(null, payload));
    scope.route({
      method: [...proxyRoute.methods],
      url: proxyRoute.path,
      handler: (request, reply) => answerProxied(deps, request, reply),
    });
    registered();
  });
}

async function answerProxied(deps: RouteDeps, request: FastifyRequest, reply: FastifyReply): Promise<unknown> {
  const startedAt = performance.now();
  const measure = (status: number): void =>
    deps.metrics.answered(proxyRoute.path, status, (performance.now() - startedAt) / 1_000);
  const signal = whileOpen(reply.raw);
  try {
    const { asked, found } = await within(deps.answerWithinMs, letIn(deps, request, reply));
    const target = targetFor(found, asked);
    const answer = await callWithRetries(deps, asked, await outboundRequest(deps, request, target, found, signal));
    measure(answer.status);
    await passOn(deps, reply, asked, answer);
    return reply;
  } catch (thrown) {
    // What is left of a body that nobody takes is not waited for.
    if (deps.ending() || (isStreamed(request.raw) && !request.raw.complete)) closeAfter(reply);
    const text = refuse(deps, reply, await deps.gate.judge(thrown, request, reply));
    measure(reply.statusCode);
    return text;
  }
}

async function letIn(deps: RouteDeps, request: FastifyRequest, reply: FastifyReply) {
  const caller = await deps.gate.admit(request, reply);
  const asked = parseProxyRequest(request.raw.url ?? "", request.headers);
  return { asked, found: await findConnection(deps, caller, asked) };
}

/** Fires when the connection to the caller ends before the answer does. */
function whileOpen(response: ServerResponse): AbortSignal {
  const gone = new AbortController();
  response.once("close", () => {
    if (!response.writableFinished) gone.abort(new KeysteadError("outbound_unreachable", "The caller went away."));
  });
  return gone.signal;
}

/** The connection, whose reading is recorded by now. Codes and statuses are those of the contract, which has others here than elsewhere. */
async function findConnection(
  deps: RouteDeps,
  caller: Caller,
  { providerConfigKey, connectionId }: ProxyRequest,
): Promise<ProxiedConnection> {
  const result = await readProxiedConnection(deps.vault, { ...caller, providerConfigKey, connectionId });
  switch (result.kind) {
    case "unknown_key":
    case "forbidden":
      throw refusedKey(result);
    case "unknown_integration":
      throw new KeysteadError(
        "unknown_provider_config",
        `The environment has no integration ${JSON.stringify(providerConfigKey)}.`,
        { status: 404 },
      );
    case "not_found":
      throw new KeysteadError(
        "server_error",
        `The integration has no connection with the id ${JSON.stringify(connectionId)}.`,
        { status: 400 },
      );
    case "found":
      return result;
  }
}

/** What settings of an integration say about where it sends. */
const sending = z.object({ auth: z.object({ tokenUrl: z.string().optional() }).optional(), proxy: proxySchema });

function targetFor({ connection, settings, acceptedOrigins }: ProxiedConnection, asked: ProxyRequest): ProxyTarget {
  if (settings["proxy"] === undefined) {
    throw new KeysteadError("proxy_not_configured", "The integration has no spec.proxy, which says where to call.");
  }
  const values = {
    config: JSON.parse(connection.config.reveal()),
    credentials: connection.credentials ? JSON.parse(connection.credentials.reveal()) : {},
  };
  return targetOf(sending.parse(settings), acceptedOrigins, asked, values);
}

async function outboundRequest(
  deps: RouteDeps,
  request: FastifyRequest,
  { url, headers }: ProxyTarget,
  { namespace }: ProxiedConnection,
  signal: AbortSignal,
): Promise<OutboundRequest> {
  const body = await bodyOf(request.raw);
  return {
    method: request.method,
    url,
    headers: { ...headers, ...lengthOf(request.raw, body) },
    body: body instanceof Readable ? swept(body) : body,
    namespace,
    redirects: REDIRECTS,
    limits: deps.proxyLimits,
    signal,
  };
}

/** Tries again as often as the caller asked for. A body that was passed on as it came is gone, and with it the second try. */
async function callWithRetries(
  deps: RouteDeps,
  { retries, retryOn }: ProxyRequest,
  request: OutboundRequest,
): Promise<OutboundAnswer> {
  const mayRepeat = request.body === undefined || Buffer.isBuffer(request.body);
  for (let failures = 1; ; failures += 1) {
    const outcome = await deps.outbound.call(request).catch((thrown: unknown) => ({ thrown }));
    const answered = "status" in outcome;
    const failed = answered ? isTemporary(outcome.status, retryOn) : isRetryable(outcome.thrown);
    const retryAfter = answered ? outcome.headers["retry-after"] : undefined;
    const wait =
      mayRepeat && failed && failures <= retries
        ? pauseBefore(failures, retryAfter, { now: Date.now(), random: Math.random() })
        : undefined;
    if (wait === undefined || request.signal?.aborted) {
      if (answered) return outcome;
      throw outcome.thrown;
    }
    if (answered) outcome.body.on("error", () => undefined).destroy();
    await pause(wait, undefined, { signal: request.signal }).catch(() => undefined);
  }
}

function isRetryable(thrown: unknown): boolean {
  return thrown instanceof KeysteadError && thrown.retryable;
}

/**
 * Sends the answer on, as fast as the caller takes it. Written without the framework, which would hold the head back
 * until the first byte of the body. A body that breaks off breaks off the answer, since its status is sent by then.
 */
async function passOn(
  deps: RouteDeps,
  reply: FastifyReply,
  { decompress }: ProxyRequest,
  answer: OutboundAnswer,
): Promise<void> {
  const plain: Readable | undefined = decompress ? unpacked(answer, reply.request.method) : undefined;
  const headers = answerHeaders(answer.rawHeaders);
  if (plain) {
    delete headers["content-encoding"];
    delete headers["content-length"];
  }
  reply.headers(headers);
  if (deps.ending()) closeAfter(reply);
  const { raw } = reply;
  for (const [name, value] of Object.entries(reply.getHeaders())) if (value !== undefined) raw.setHeader(name, value);
  reply.hijack();
  raw.writeHead(answer.status);
  raw.flushHeaders();
  await pipeline(swept(plain ?? answer.body), raw).catch(() => raw.destroy());
}
