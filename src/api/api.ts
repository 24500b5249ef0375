import fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest } from "fastify";
import type { Socket } from "node:net";
import { KeysteadError, type ErrorCode } from "../errors.ts";
import { listen, type ListenOptions } from "../telemetry/listen.ts";
import type { Certificate } from "./certificate.ts";
import { createAuthenticationFailures } from "./authentication-failures.ts";
import { createClientAddress } from "./client-address.ts";
import { answerPreflights } from "./cross-origin.ts";
import { errorAnswer } from "./error-answer.ts";
import { createGate } from "./gate.ts";
import { takeJsonBodies } from "./json-body.ts";
import * as limits from "./limits.ts";
import { servePublicPages } from "./public-pages.ts";
import { serveProbes } from "./probes.ts";
import { proxyRoute, serveProxy } from "./proxy.ts";
import { requestIdOf, traceParentOf } from "./request-id.ts";
import { refuse, type ApiDeps, type RouteDeps, serveRoute } from "./route.ts";
import { ROUTES } from "./routes.ts";
import { createServiceAccountTokens } from "./service-account-tokens.ts";
import { type ApiServer, closeAfter, createServer } from "./server.ts";

/** The HTTP API of one process. Disposing it stops accepting, lets requests in flight finish, and cuts off the rest at `cutOff`. */
export interface Api extends AsyncDisposable {
  /** For tests that need no socket (`inject`). */
  readonly app: FastifyInstance;
  /** Opens the port and resolves with its number. @throws `port_in_use`, `address_unavailable` */
  listen(options: ListenOptions): Promise<number>;
  /** Another certificate, from the next connection on. */
  use(certificate: Certificate): void;
}

/**
 * Builds the API; opens nothing yet. The framework's own logger stays off: with it, an object is made for each request
 * even when no line is written.
 */
export function createApi(deps: ApiDeps, timeouts: limits.Timeouts = limits.TIMEOUTS): Api {
  const sendRefusal = (reply: FastifyReply, thrown: unknown) => void reply.send(refuse(deps, reply, thrown));
  let served: ApiServer | undefined;
  const app = fastify({
    logger: false,
    serverFactory: (handler) => {
      served = createServer(handler, timeouts, deps.certificate);
      return served.server;
    },
    genReqId: ({ headers }) => requestIdOf(headers),
    bodyLimit: limits.BODY_BYTES,
    routerOptions: { maxParamLength: limits.PATH_PART_CHARACTERS },
    exposeHeadRoutes: false,
    // A request on a kept connection while the process ends is still answered, with `Connection: close`.
    return503OnClosing: false,
    frameworkErrors: (error, _request, reply) => sendRefusal(reply, error),
    clientErrorHandler: answerBrokenRequest,
  });
  app.setErrorHandler((error, _request, reply) => sendRefusal(reply, error));
  app.setNotFoundHandler((_request, reply) => sendRefusal(reply, noSuchRoute()));
  app.addHook("onRequest", (request, reply, next) => {
    reply.header("x-request-id", request.id);
    const trace = traceParentOf(request.headers);
    if (trace !== undefined) reply.header("traceparent", trace);
    if (isTooLarge(request)) {
      // Node would read on to the end of the body to keep the connection.
      closeAfter(reply);
      next(new KeysteadError("body_too_large", "The body of the request is larger than 1 MiB."));
    } else if (request.is404) {
      // Before the body is parsed: what nobody takes need not be valid.
      next(noSuchRoute());
    } else {
      next();
    }
  });

  let ending = false;
  const clientAddress = createClientAddress(deps.trustedProxies);
  const gate = createGate({
    limits: deps.limits,
    failures: createAuthenticationFailures(deps),
    tokens: createServiceAccountTokens(deps.vault.database),
    addressOf: ({ socket, headers }) => clientAddress(socket.remoteAddress, headers["x-forwarded-for"]),
  });
  const routeDeps: RouteDeps = {
    ...deps,
    ending: () => ending,
    answerWithinMs: timeouts.answer,
    gate,
    proxyLimits: limits.proxyLimits(timeouts),
  };
  answerPreflights(app);
  takeJsonBodies(app);
  serveProbes(app, deps.readyz);
  servePublicPages(app);
  for (const route of ROUTES) serveRoute(app, routeDeps, route);
  serveProxy(app, routeDeps);

  return {
    app,
    use: (certificate) => served?.use(certificate),
    async listen(options) {
      await app.ready();
      return listen(app.server, options);
    },
    async [Symbol.asyncDispose]() {
      ending = true;
      const closed = Promise.all([app.close(), new Promise((resolve) => app.server.close(resolve))]);
      served?.drain();
      const cut = (): void => served?.closeAll();
      deps.cutOff?.addEventListener("abort", cut, { once: true });
      if (deps.cutOff?.aborted) cut();
      await closed;
      deps.cutOff?.removeEventListener("abort", cut);
    },
  };
}

/** What the proxy passes on may have any length. */
function isTooLarge({ headers, routeOptions }: FastifyRequest): boolean {
  return routeOptions.url !== proxyRoute.path && Number(headers["content-length"] ?? 0) > limits.BODY_BYTES;
}

function noSuchRoute(): KeysteadError {
  return new KeysteadError("not_found", "There is nothing at this path with this method.");
}

/** Codes of Node's HTTP parser that deserve more than "malformed". */
const BROKEN: Readonly<Record<string, readonly [ErrorCode, string]>> = {
  HPE_HEADER_OVERFLOW: ["headers_too_large", "The headers of the request are larger than 16 KiB."],
  ERR_HTTP_REQUEST_TIMEOUT: ["request_timeout", "The request did not arrive in time."],
};

/** What is not even HTTP never becomes a request: the answer is written to the socket, which is then closed. */
function answerBrokenRequest(error: NodeJS.ErrnoException, socket: Socket): void {
  if (error.code === "ECONNRESET" || !socket.writable) {
    socket.destroy();
    return;
  }
  const [code, message] = BROKEN[error.code ?? ""] ?? ["malformed_request", "The request is not valid HTTP."];
  const { status, body } = errorAnswer(new KeysteadError(code, message, { cause: error }));
  socket.end(
    `HTTP/1.1 ${status} Bad Request\r\ncontent-type: application/json; charset=utf-8\r\ncontent-length: ${Buffer.byteLength(body)}\r\nconnection: close\r\n\r\n${body}`,
  );
}
