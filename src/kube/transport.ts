import type { IncomingMessage, RequestOptions } from "node:http";
import http from "node:http";
import https from "node:https";
import { createSecureContext } from "node:tls";

import { KeysteadError } from "../errors.ts";
import { aborted } from "./call-slots.ts";
import type { ServerAddress } from "./identity.ts";

/** A call as it goes over the wire. */
export interface WireCall {
  readonly method: string;
  /** Path and query, encoded. */
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: string | undefined;
  readonly signal?: AbortSignal | undefined;
  /** `performance.now()` time at which the call is given up. */
  readonly deadlineAt: number;
  /** The call is given up when nothing arrives for so long: a peer that vanished answers nothing, a slow one does. */
  readonly silenceMs: number;
  readonly maxAnswerBytes: number;
  /** Read a successful answer to its end, so that the connection can be used again, but keep none of it. */
  readonly discardAnswer: boolean;
}

export interface WireAnswer {
  readonly status: number;
  readonly retryAfter: string | undefined;
  readonly body: string;
}

export interface Transport {
  /** Rejects with `kube_unreachable`, `kube_timeout`, `kube_answer_too_large` or `kube_call_aborted`. */
  send(call: WireCall): Promise<WireAnswer>;
  /** Sends and resolves with the head of the answer; the caller reads the body and destroys the message. On a connection of its own. */
  open(call: WireCall): Promise<IncomingMessage>;
  close(): void;
}

/** Idle time after which TCP asks whether the other side is still there. Node then asks each second and gives up after ten. */
const TCP_KEEPALIVE_MS = 30_000;

/**
 * HTTP/1.1 with kept connections; `maxSockets` at one time for calls, one more for each open stream.
 * HTTP/2 was measured and is not faster here: docs/decisions/0001-http-transport.md.
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

  const optionsOf = (call: WireCall, agent: http.Agent): RequestOptions => ({
    agent,
    host: server.host,
    port: server.port,
    method: call.method,
    path: server.basePath + call.path,
    headers: call.headers,
  });

  return {
    send: (call) =>
      exchange(call, (settle) => {
        return request(optionsOf(call, callAgent), (message) => collect(message, call, settle));
      }),
    open: (call) =>
      exchange(call, (settle) => {
        const sent = request(optionsOf(call, streamAgent), (message) => {
          // A reset before the caller has begun to read must not end the process; its read fails all the same.
          message.on("error", () => undefined);
          settle.resolve(message);
        });
        sent.on("socket", (socket) => socket.setKeepAlive(true, TCP_KEEPALIVE_MS));
        return sent;
      }),
    close: () => {
      callAgent.destroy();
      streamAgent.destroy();
    },
  };
}

interface Settle<T> {
  resolve(value: T): void;
  reject(error: KeysteadError): void;
  /** Something arrived. */
  progress(): void;
}

/** Runs one request with its deadline, its silence limit and its signal; whichever way it ends, timer and listener are gone. */
function exchange<T>(call: WireCall, start: (settle: Settle<T>) => http.ClientRequest): Promise<T> {
  return new Promise<T>((resolve, reject) => {
    const { signal } = call;
    let ended = false;
    const end = (): boolean => {
      if (ended) return false;
      ended = true;
      clearTimeout(timer);
      signal?.removeEventListener("abort", abort);
      return true;
    };
    const fail = (error: KeysteadError): void => {
      if (!end()) return;
      reject(error);
      sent.destroy();
    };
    const abort = (): void => fail(aborted(signal));
    let heardAt = performance.now();
    const patience = (): number => Math.min(heardAt + call.silenceMs, call.deadlineAt) - performance.now();
    // Looks at the time when it fires instead of being set again with every chunk that arrives.
    const watch = (): void => {
      const left = patience();
      if (left <= 0) fail(timedOut(call));
      else timer = setTimeout(watch, left);
    };
    let timer = setTimeout(watch, patience());
    const sent = start({
      resolve: (value) => {
        if (end()) resolve(value);
      },
      reject: fail,
      progress: () => {
        heardAt = performance.now();
      },
    });
    sent.on("error", (cause) => fail(unreachable(call, cause)));
    if (signal?.aborted === true) abort();
    else signal?.addEventListener("abort", abort, { once: true });
    sent.end(call.body);
  });
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
  const { ca, cert, key, serverName, skipVerify } = server.tls;
  return {
    // Made once: given as PEM, every new connection would parse the certificates again.
    secureContext: createSecureContext({
      ...(ca === undefined ? {} : { ca }),
      ...(cert === undefined ? {} : { cert }),
      ...(key === undefined ? {} : { key }),
    }),
    rejectUnauthorized: !skipVerify,
    ...(serverName === undefined ? {} : { servername: serverName }),
  };
}

function actionOf(call: WireCall): string {
  return `${call.method} ${call.path}`;
}

function unreachable(call: WireCall, cause: unknown): KeysteadError {
  const code = cause instanceof Error && "code" in cause && typeof cause.code === "string" ? cause.code : undefined;
  const why = code ?? (cause instanceof Error ? cause.message : String(cause));
  return new KeysteadError("kube_unreachable", `${actionOf(call)} did not reach the API server: ${why}`, {
    cause,
    details: code === undefined ? {} : { networkCode: code },
  });
}

function timedOut(call: WireCall): KeysteadError {
  return new KeysteadError("kube_timeout", `${actionOf(call)} got no answer from the API server in time`);
}

function tooLarge(call: WireCall): KeysteadError {
  return new KeysteadError(
    "kube_answer_too_large",
    `${actionOf(call)} was answered with more than ${call.maxAnswerBytes} bytes`,
    { details: { maxAnswerBytes: call.maxAnswerBytes } },
  );
}
