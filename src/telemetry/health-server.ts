import type { IncomingMessage, ServerResponse } from "node:http";
import { listen, type ListenOptions } from "./listen.ts";
import type { MetricsRegistry } from "./prometheus.ts";
import type { Verdict } from "./readiness.ts";

// Not imported: an ES import reads all properties of a module, and one of node:http loads a WebSocket client behind it,
// 8 MB of resident memory.
const { createServer } = process.getBuiltinModule("node:http");

/** Where to listen, and what the three paths answer from. The functions run at every request, so they must be cheap. */
export interface HealthServerOptions extends ListenOptions {
  /** Whether any progress is possible; false makes the kubelet restart the process, so an outage elsewhere is no reason. */
  readonly livez: () => Verdict;
  readonly readyz: () => Verdict;
  readonly registry: MetricsRegistry;
}

/** Disposing it closes the port and every connection at once: a probe that is cut off asks again. */
export interface HealthServer extends AsyncDisposable {
  readonly port: number;
}

/** The kubelet, one or two Prometheis and a person: more connections than this are a mistake or an attack. */
const MAX_CONNECTIONS = 64;

/** A scraper sends its few headers at once. */
const HEADERS_TIMEOUT_MS = 5_000;

/** Probes come every 10 s by default: the connection of the last one is still there. */
const KEEP_ALIVE_MS = 15_000;

/** Bytes of a request's headers; nothing that asks here has cookies. */
const MAX_HEADER_BYTES = 8 * 1024;

/**
 * Serves `/livez`, `/readyz` and `/metrics` of any process. Bare `node:http`, because the controller has to stay small
 * and would load the web framework for three fixed answers. Needs no authentication and tells nothing secret.
 */
export async function startHealthServer(options: HealthServerOptions): Promise<HealthServer> {
  const server = createServer(
    {
      headersTimeout: HEADERS_TIMEOUT_MS,
      requestTimeout: HEADERS_TIMEOUT_MS,
      keepAliveTimeout: KEEP_ALIVE_MS,
      maxHeaderSize: MAX_HEADER_BYTES,
    },
    (request, response) => answer(options, request, response),
  );
  server.maxConnections = MAX_CONNECTIONS;
  const port = await listen(server, options);
  return {
    port,
    async [Symbol.asyncDispose]() {
      const closed = new Promise((resolve) => server.close(resolve));
      server.closeAllConnections();
      await closed;
    },
  };
}

function answer(options: HealthServerOptions, request: IncomingMessage, response: ServerResponse): void {
  if (request.method !== "GET" && request.method !== "HEAD") {
    send(response.setHeader("allow", "GET, HEAD"), 405, "only GET and HEAD\n");
    return;
  }
  const [path = ""] = (request.url ?? "").split("?", 1);
  switch (path) {
    case "/livez":
      sendVerdict(response, options.livez());
      return;
    case "/readyz":
      sendVerdict(response, options.readyz());
      return;
    case "/metrics":
      options.registry.metrics().then(
        (text) => send(response.setHeader("content-type", options.registry.contentType), 200, text),
        () => send(response, 500, "the metrics could not be collected\n"),
      );
      return;
    default:
      send(response, 404, "there are /livez, /readyz and /metrics\n");
  }
}

/** A probe's answer, in the words of Kubernetes' own: `ok`, or 503 and the reason. */
function sendVerdict(response: ServerResponse, verdict: Verdict): void {
  send(response, verdict.ok ? 200 : 503, verdict.ok ? "ok\n" : `not ok: ${verdict.reason}\n`);
}

function send(response: ServerResponse, status: number, text: string): void {
  if (!response.hasHeader("content-type")) response.setHeader("content-type", "text/plain; charset=utf-8");
  response.writeHead(status, { "content-length": Buffer.byteLength(text), "cache-control": "no-store" }).end(text);
}
