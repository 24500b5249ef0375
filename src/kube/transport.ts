import type { Agent, ClientRequest, IncomingMessage, RequestOptions } from "node:http";
import https from "node:https";
import type { SecureContext } from "node:tls";
import { createSecureContext } from "node:tls";
import { KeysteadError } from "../errors.ts";
import { aborted } from "./call-slots.ts";
import type { Settle, WireCall } from "./exchange.ts";
import { exchange, tooLarge, unreachable } from "./exchange.ts";
import type { ServerAddress } from "./server-address.ts";

// Not imported: an ES import reads all properties of a module, and one of node:http loads a WebSocket client behind it,
// 8 MB of resident memory.
const http = process.getBuiltinModule("node:http");

/** An answer of whatever status. `body` is empty where it was discarded. */
export interface WireAnswer {
  readonly status: number;
  readonly retryAfter: string | undefined;
  readonly body: string;
}

/** Moves bytes and judges nothing: retries, priorities and errors by status are the client's. */
export interface Transport {
  /** Rejects with `kube_unreachable`, `kube_timeout`, `kube_answer_too_large` or `kube_call_aborted`. */
  send(call: WireCall): Promise<WireAnswer>;
  /** Sends and resolves with the head of the answer; the caller reads the body and destroys the message. On a connection of its own. */
  open(call: WireCall): Promise<IncomingMessage>;
  /** Breaks what is under way; later calls are refused. */
  close(): void;
}

/** Idle time after which TCP asks whether the other side is still there. Node then asks each second and gives up after ten. */
const TCP_KEEPALIVE_MS = 30_000;

/**
 * HTTP/1.1 with kept connections; `maxSockets` at one time for calls, one more for each open stream.
 * HTTP/2 was measured and is not faster here: docs/decisions/0001-http-transport.md.
 *
 * Throws `kube_identity_invalid` when certificates or keys cannot be read.
 */
export function createTransport(server: ServerAddress, maxSockets: number): Transport {
  const secure = server.protocol === "https:";
  const { request } = secure ? https : http;
  const common = { keepAliveMsecs: TCP_KEEPALIVE_MS, ...(secure ? tlsOptions(server) : {}) };
  const Agent = secure ? https.Agent : http.Agent;
  const callAgent = new Agent({
    ...common,
    keepAlive: true,
    maxSockets,
    maxFreeSockets: maxSockets,
    scheduling: "lifo",
  });
  const streamAgent = new Agent({ ...common, keepAlive: false });
  // Both agents know one destination. The name Node computes for a pool holds all certificates, again for every call.
  for (const agent of [callAgent, streamAgent]) agent.getName = () => "kube-apiserver";

  const optionsOf = (call: WireCall, agent: Agent): RequestOptions => ({
    agent,
    host: server.host,
    port: server.port,
    method: call.method,
    path: server.basePath + call.path,
    headers: call.headers,
  });

  let closed = false;
  const start = <T>(call: WireCall, begin: (settle: Settle<T>) => ClientRequest): Promise<T> =>
    closed ? Promise.reject(aborted(undefined)) : exchange(call, begin);

  return {
    send: (call) =>
      start(call, (settle) => request(optionsOf(call, callAgent), (message) => collect(message, call, settle))),
    open: (call) =>
      start(call, (settle) => {
        const sent = request(optionsOf(call, streamAgent), (message) => {
          // A reset before the caller has begun to read must not end the process; its read fails all the same.
          message.on("error", () => undefined);
          settle.resolve(message);
        });
        sent.on("socket", (socket) => socket.setKeepAlive(true, TCP_KEEPALIVE_MS));
        return sent;
      }),
    close: () => {
      closed = true;
      callAgent.destroy();
      streamAgent.destroy();
    },
  };
}

function collect(message: IncomingMessage, call: WireCall, settle: Settle<WireAnswer>): void {
  const status = message.statusCode ?? 0;
  const keep = !(call.discardAnswer && status < 300);
  const chunks: Buffer[] = [];
  let size = 0;
  message.on("data", (chunk: Buffer) => {
    settle.progress();
    size += chunk.length;
    if (size > call.maxAnswerBytes) settle.reject(tooLarge(call));
    else if (keep) chunks.push(chunk);
  });
  message.on("error", (cause) => settle.reject(unreachable(call, cause)));
  message.on("end", () => {
    const [first] = chunks;
    const bytes = chunks.length === 1 && first !== undefined ? first : Buffer.concat(chunks);
    settle.resolve({ status, retryAfter: message.headers["retry-after"], body: bytes.toString("utf8") });
  });
}

function tlsOptions(server: ServerAddress): https.AgentOptions {
  const { serverName, skipVerify } = server.tls;
  return {
    secureContext: secureContextOf(server),
    rejectUnauthorized: !skipVerify,
    ...(serverName === undefined ? {} : { servername: serverName }),
  };
}

/** Made once: given as PEM, every new connection would parse the certificates again. */
function secureContextOf({ tls: { ca, cert, key }, host }: ServerAddress): SecureContext {
  try {
    return createSecureContext({ ...(ca && { ca }), ...(cert && { cert }), ...(key && { key }) });
  } catch (cause) {
    throw new KeysteadError(
      "kube_identity_invalid",
      `The CA, the client certificate or its key for the API server ${host} is no PEM, or they do not belong together`,
      { cause },
    );
  }
}
