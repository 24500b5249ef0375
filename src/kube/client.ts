import type { IncomingMessage } from "node:http";
import { KeysteadError } from "../errors.ts";
import { apiError } from "./api-error.ts";
import { createCallSlots } from "./call-slots.ts";
import type { Identity } from "./server-address.ts";
import type { WireCall } from "./exchange.ts";
import type { KubeCall, KubeStream } from "./kube-call.ts";
import { pauseFor } from "./pause.ts";
import { retryDelayMs } from "./retry.ts";
import type { WireAnswer } from "./transport.ts";
import { createTransport } from "./transport.ts";
import { decodeAnswer, encodeHeaders, encodeQuery, readRefusal } from "./wire-format.ts";

export type { KubeCall, KubeStream };

/** What is worth counting about calls; names as client-go's `rest_client_*`. */
export interface KubeClientMetrics {
  /** One attempt ended, or a watch was opened. `code` is the HTTP status, or the error code where there was none. */
  attempted(method: string, code: string, seconds: number): void;
}

/** Calls to one API server. Any number may run at once. */
export interface KubeClient extends AsyncDisposable {
  /** Resolves with the parsed answer, trusted to be a T. Rejects with a `kube_*` error and never with anything else. */
  request<T>(call: KubeCall): Promise<T>;
  /** One attempt on a connection of its own; resolves once the server has accepted. */
  stream(call: KubeCall): Promise<KubeStream>;
  /** Calls that wait for a connection. */
  waiting(): number;
}

/** What a client can be told; the defaults are for one controller on a small machine. */
export interface KubeClientOptions {
  readonly metrics?: KubeClientMetrics | undefined;
  /** As in `keystead/<version>`, the name under which the API server's audit log shows the calls. */
  readonly userAgent?: string;
  /**
   * Calls at one time, 32 by default: an API server on two cores gets no faster with more. Status patches a second with 8, 16, 32
   * and 64: 465, 740, 844 and 845.
   */
  readonly maxConnections?: number;
  /** See `WireCall`; 10 s by default. Only tests have less. */
  readonly silenceMs?: number;
}

const DEFAULT_TIMEOUT_MS = 30_000;
const DEFAULT_SILENCE_MS = 10_000;
const DEFAULT_MAX_ANSWER_BYTES = 8 * 1024 * 1024;
const DEFAULT_MAX_CONNECTIONS = 32;

/** Of the connections, those that only urgent calls get: one in eight, at least one. */
const RESERVED_SHARE = 8;

const IDEMPOTENT_METHODS: ReadonlySet<string> = new Set(["GET", "PUT", "DELETE"]);

/**
 * Client of one API server. Calls share a bounded set of kept connections; each watch has one of its own, so that a large
 * answer never holds up an event. Everything about retries stands in `retry.ts`.
 */
export function createKubeClient(identity: Identity, options: KubeClientOptions = {}): KubeClient {
  const connections = options.maxConnections ?? DEFAULT_MAX_CONNECTIONS;
  const reserved = connections > 1 ? Math.max(1, Math.floor(connections / RESERVED_SHARE)) : 0;
  const transport = createTransport(identity.server, connections);
  const slots = createCallSlots(connections, reserved);
  const silenceMs = options.silenceMs ?? DEFAULT_SILENCE_MS;
  const userAgent = options.userAgent ?? "keystead";
  const { metrics } = options;

  const wireCall = async (call: KubeCall, deadlineAt: number, renew: boolean): Promise<WireCall> => {
    const authorization = identity.bearer?.authorization(performance.now(), renew);
    const bearer = typeof authorization === "object" ? await authorization : authorization;
    const body = call.body === undefined ? undefined : JSON.stringify(call.body);
    return {
      method: call.method,
      path: call.query === undefined ? call.path : `${call.path}?${encodeQuery(call.query)}`,
      headers: encodeHeaders(call, body, bearer, userAgent),
      body,
      signal: call.signal,
      deadlineAt,
      silenceMs,
      maxAnswerBytes: call.maxAnswerBytes ?? DEFAULT_MAX_ANSWER_BYTES,
      discardAnswer: call.discardAnswer ?? false,
    };
  };

  const attempt = async (call: KubeCall, deadlineAt: number, renew: boolean): Promise<WireAnswer> => {
    const priority = call.priority ?? "normal";
    const turn = slots.acquire(priority, deadlineAt, call.signal);
    if (turn !== undefined) await turn;
    try {
      const send = async (): Promise<WireAnswer> => transport.send(await wireCall(call, deadlineAt, renew));
      return await counted(metrics, call.method, send, (answer) => answer.status);
    } finally {
      slots.release(priority);
    }
  };

  /** Until the server has accepted: how long a watch is open afterwards says nothing about the server. */
  const open = (call: KubeCall, deadlineAt: number, renew: boolean): Promise<IncomingMessage> => {
    const send = async (): Promise<IncomingMessage> => transport.open(await wireCall(call, deadlineAt, renew));
    return counted(metrics, call.method, send, (message) => message.statusCode);
  };

  /** The answer of one attempt, or the error it stands for. */
  const outcome = async (call: KubeCall, deadlineAt: number, renew: boolean): Promise<WireAnswer | KeysteadError> => {
    try {
      const answer = await attempt(call, deadlineAt, renew);
      if (answer.status < 300) return answer;
      return apiError(`${call.method} ${call.path}`, answer.status, answer.body, answer.retryAfter);
    } catch (thrown) {
      if (thrown instanceof KeysteadError) return thrown;
      throw thrown;
    }
  };

  return {
    async request<T>(call: KubeCall): Promise<T> {
      const deadlineAt = performance.now() + (call.timeoutMs ?? DEFAULT_TIMEOUT_MS);
      const idempotent = call.idempotent ?? IDEMPOTENT_METHODS.has(call.method);
      let renewed = false;
      for (let attempts = 1; ; attempts += 1) {
        const got = await outcome(call, deadlineAt, renewed);
        if (!(got instanceof KeysteadError)) {
          const answer: T = decodeAnswer(call, got);
          return answer;
        }
        // An expired token looks like a wrong one: read it again once. Nothing was done, so any method may go again.
        if (got.code === "kube_unauthorized" && !renewed && identity.bearer !== undefined) {
          renewed = true;
          continue;
        }
        const delay = retryDelayMs({ error: got, idempotent, attempts });
        if (delay === undefined || performance.now() + delay >= deadlineAt) throw got;
        await pauseFor(delay, call.signal);
      }
    },
    async stream(call) {
      const deadlineAt = performance.now() + (call.timeoutMs ?? DEFAULT_TIMEOUT_MS);
      let message = await open(call, deadlineAt, false);
      if (message.statusCode === 401 && identity.bearer !== undefined) {
        message.destroy();
        message = await open(call, deadlineAt, true);
      }
      if (message.statusCode === 200) return message;
      throw await readRefusal(call, message);
    },
    waiting: () => slots.waiting(),
    async [Symbol.asyncDispose]() {
      transport.close();
    },
  };
}

/** One attempt, from sending to what `send` waits for. */
async function counted<T>(
  metrics: KubeClientMetrics | undefined,
  method: string,
  send: () => Promise<T>,
  statusOf: (answer: T) => number | undefined,
): Promise<T> {
  const startedAt = performance.now();
  let code = "error";
  try {
    const answer = await send();
    code = String(statusOf(answer));
    return answer;
  } catch (thrown) {
    if (thrown instanceof KeysteadError) code = thrown.code;
    throw thrown;
  } finally {
    metrics?.attempted(method, code, (performance.now() - startedAt) / 1_000);
  }
}
