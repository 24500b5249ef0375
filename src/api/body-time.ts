import type { IncomingMessage, Server, ServerResponse } from "node:http";
import type { Http2SecureServer, Http2ServerRequest, Http2ServerResponse } from "node:http2";
import type { Readable, Writable } from "node:stream";
import type { Timeouts } from "./limits.ts";

// Not imported, as in telemetry/health-server.ts.
const http2 = process.getBuiltinModule("node:http2");

type Incoming = IncomingMessage | Http2ServerRequest;
type Outgoing = ServerResponse | Http2ServerResponse;

/**
 * Ends requests whose bodies do not arrive in time. Node's own limit knows no exception, and a body that is passed on may
 * come as long as it flows: it only must not pause for longer than the provider may.
 */
export function limitBodyTime(
  server: Server | Http2SecureServer,
  timeouts: Pick<Timeouts, "body" | "providerIdle">,
  isPassedOn: (url: string) => boolean,
): void {
  server.prependListener("request", (request: Incoming, response: Outgoing) => {
    if (!hasBody(request)) return;
    const end = (): void => {
      // It may have arrived, although nobody has taken it yet.
      if (!request.complete) endOf(server, request, response);
    };
    if (isPassedOn(request.url ?? "")) {
      limitPauses(request, response, timeouts.providerIdle, end);
      // What is left of a body whose answer is whole is taken by nobody.
      const sent: Writable = response;
      sent.once("finish", () => limitWhole(request, timeouts.body, end));
    } else {
      limitWhole(request, timeouts.body, end);
    }
  });
}

/** A body of HTTP/2 needs no header that tells of it. */
function hasBody(request: Incoming): boolean {
  if ("stream" in request) return !request.stream.endAfterHeaders;
  return request.headers["content-length"] !== undefined || request.headers["transfer-encoding"] !== undefined;
}

function limitWhole(request: Incoming, milliseconds: number, end: () => void): void {
  if (request.complete) return;
  const late = setTimeout(end, milliseconds);
  whenOver(request, () => clearTimeout(late));
}

function limitPauses(request: Incoming, response: Outgoing, milliseconds: number, end: () => void): void {
  request.setTimeout(milliseconds, end);
  // Where nobody hears of it, Node ends the socket of a request that has arrived.
  const answer: Writable = response;
  answer.on("timeout", () => undefined);
  whenOver(request, () => {
    // After the answer the time of the socket is that of a kept connection.
    if (!response.writableFinished) request.setTimeout(0);
  });
}

function whenOver(body: Readable, done: () => void): void {
  body.once("end", done).once("close", done);
}

/** 408 where nothing has been answered yet, as for headers that come too late; what has begun is broken off. */
function endOf(server: Server | Http2SecureServer, request: Incoming, response: Outgoing): void {
  if ("stream" in request) {
    request.stream.close(http2.constants.NGHTTP2_CANCEL);
    return;
  }
  const { socket } = request;
  if (response.headersSent) {
    socket.destroy();
    return;
  }
  const late: NodeJS.ErrnoException = new Error("the body of the request did not arrive in time");
  late.code = "ERR_HTTP_REQUEST_TIMEOUT";
  server.emit("clientError", late, socket);
}
