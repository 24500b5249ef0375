import type { FastifyReply } from "fastify";
import type { RequestListener, Server, ServerOptions } from "node:http";
import type { Http2SecureServer, ServerHttp2Session } from "node:http2";
import type { Socket } from "node:net";
import { limitAnswerTime } from "./answer-time.ts";
import { limitBodyTime } from "./body-time.ts";
import type { Certificate } from "./certificate.ts";
import * as limits from "./limits.ts";
import { isProxied } from "./proxy-request.ts";

// Not imported, as in telemetry/health-server.ts.
const http = process.getBuiltinModule("node:http");
const http2 = process.getBuiltinModule("node:http2");

/** What listens: plain HTTP/1.1, or TLS with HTTP/2 and HTTP/1.1 as the client chooses. */
export interface ApiServer {
  /** Fastify knows no type for one that may be either; what it uses of it both have. */
  readonly server: Server;
  /** From now on for new connections; those that are open go on. */
  use(certificate: Certificate): void;
  /** Closes connections on which no request is under way, those that never sent one too, and from now on all others after theirs. */
  drain(): void;
  closeAll(): void;
}

/** TLS 1.2 and 1.3 with Node's ciphers, all of which have forward secrecy and authenticate (RFC 9325 section 4.2). */
const MIN_VERSION = "TLSv1.2";

/**
 * Requests of one connection at once: streams of HTTP/2, of which browsers and gRPC libraries expect 100 (RFC 9113 section
 * 6.5.2), or pipelined ones of HTTP/1.1, which hardly anybody sends.
 */
const REQUESTS = 100;

/** Megabytes that streams of one HTTP/2 connection may have in memory when one more begins: 100 answers of 40 KB. Node's default is 10. */
const SESSION_MEGABYTES = 4;

/** Opens nothing yet. */
export function createServer(
  handler: RequestListener,
  timeouts: limits.Timeouts,
  certificate: Certificate | undefined,
): ApiServer {
  const options: ServerOptions = {
    maxHeaderSize: limits.HEADER_BYTES,
    headersTimeout: timeouts.headers,
    // See body-time.ts.
    requestTimeout: 0,
    keepAliveTimeout: timeouts.keepAlive,
    connectionsCheckingInterval: timeouts.check,
  };
  const secure = certificate && createSecureServer(handler, timeouts, certificate, options);
  const server = secure ?? http.createServer(options, handler);
  server.maxConnections = limits.CONNECTIONS;
  limitBodyTime(server, timeouts, isProxied);
  limitAnswerTime(server, timeouts);
  const sockets = trackSockets(server, secure === undefined ? "connection" : "secureConnection");
  return {
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- see the interface
    server: server as Server,
    use: ({ cert, key }) => secure?.setSecureContext({ cert, key, minVersion: MIN_VERSION }),
    drain: () => sockets.drain(),
    closeAll() {
      for (const socket of sockets.open()) socket.destroy();
    },
  };
}

function createSecureServer(
  handler: RequestListener,
  timeouts: limits.Timeouts,
  { cert, key }: Certificate,
  options: ServerOptions,
): Http2SecureServer {
  const server = http2.createSecureServer({
    cert,
    key,
    minVersion: MIN_VERSION,
    allowHTTP1: true,
    handshakeTimeout: timeouts.headers,
    maxSessionMemory: SESSION_MEGABYTES,
    settings: { maxConcurrentStreams: REQUESTS, maxHeaderListSize: limits.HEADER_BYTES },
    http1Options: options,
  });
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- a request of HTTP/2 in its HTTP/1.1 form is one to Fastify
  server.on("request", handler as never);
  endIdleSessions(server, timeouts);
  return server;
}

function endIdleSessions(server: Http2SecureServer, { keepAlive, answerTaken }: limits.Timeouts): void {
  let connected: Socket | undefined;
  server.prependListener("secureConnection", (socket: Socket) => (connected = socket));
  // Within the event of its socket, which a session itself does not give.
  server.on("session", (session: ServerHttp2Session) => {
    const socket = connected;
    session.setTimeout(keepAlive, () => {
      session.close();
      // A caller who takes nothing does not take this either.
      const late = setTimeout(() => socket?.destroy(), answerTaken);
      session.once("close", () => clearTimeout(late));
    });
  });
}

/** Has the connection closed after this answer; HTTP/2 knows no such header (RFC 9113 section 8.2.2). */
export function closeAfter(reply: FastifyReply): void {
  if (reply.request.raw.httpVersionMajor === 1) reply.header("connection", "close");
}

interface Sockets {
  open(): Iterable<Socket>;
  drain(): void;
}

/** Knows of each socket how many of its requests of HTTP/1.1 are under way. */
function trackSockets(server: Server | Http2SecureServer, opened: "connection" | "secureConnection"): Sockets {
  const sockets = new Map<Socket, number>();
  let draining = false;
  const closeIfIdle = (socket: Socket, requests: number): void => {
    // A session of HTTP/2 ends by itself once its streams have: the server says so to its client when it closes.
    if (draining && requests === 0 && !isHttp2(socket)) socket.destroySoon();
  };
  const change = (socket: Socket, by: number): void => {
    const requests = sockets.get(socket);
    if (requests === undefined) return;
    sockets.set(socket, requests + by);
    if (requests + by > REQUESTS) socket.destroy();
    closeIfIdle(socket, requests + by);
  };
  server.on(opened, (socket: Socket) => {
    sockets.set(socket, 0);
    socket.once("close", () => sockets.delete(socket));
  });
  server.prependListener("request", ({ socket }: { readonly socket: Socket }, response: NodeJS.EventEmitter) => {
    change(socket, 1);
    response.once("close", () => change(socket, -1));
  });
  return {
    open: () => sockets.keys(),
    drain() {
      draining = true;
      for (const [socket, requests] of sockets) closeIfIdle(socket, requests);
    },
  };
}

function isHttp2(socket: Socket): boolean {
  return "alpnProtocol" in socket && socket.alpnProtocol === "h2";
}
