import { type ClientRequest, type IncomingMessage, request as httpRequest } from "node:http";
import { KeysteadError } from "../errors.ts";
import { codeOf, unreachable } from "./failures.ts";
import type { Pools } from "./pools.ts";
import type { Hop } from "./redirect.ts";

/** How long a call may take and how much may come back. Milliseconds and bytes. */
export interface Limits {
  /** To resolve the name and connect, TLS and egress proxy included. */
  readonly connectMs: number;
  /** From the end of the request to the head of the answer. */
  readonly firstByteMs: number;
  /** Without a byte in either direction, at any time. */
  readonly idleMs: number;
  /** Of the answer's head. */
  readonly headerBytes: number;
}

/** One request and the head of its answer. */
export interface Exchange extends Hop {
  readonly namespace: string | undefined;
  readonly limits: Limits;
  readonly signal?: AbortSignal | undefined;
}

/** What may be sent again although the first may have arrived (RFC 9110 section 9.2.2). */
const IDEMPOTENT: ReadonlySet<string> = new Set(["GET", "HEAD", "OPTIONS", "PUT", "DELETE", "TRACE"]);

/**
 * Sends one request and resolves with its answer, whatever the status. A kept connection that the server has just closed
 * is no failure of the call: it is made once more on a new one, where that cannot do a thing twice.
 */
export async function exchange(pools: Pools, call: Exchange): Promise<IncomingMessage> {
  const first = await attempt(pools, call, false);
  if (first !== "stale") return first;
  const second = await attempt(pools, call, true);
  // Not reached: a new connection cannot be stale.
  if (second === "stale") throw new KeysteadError("outbound_unreachable", "The connection was closed.");
  return second;
}

async function attempt(pools: Pools, call: Exchange, fresh: boolean): Promise<IncomingMessage | "stale"> {
  const { method, url, headers, body, namespace, limits, signal } = call;
  if (signal?.aborted) throw endOf(signal, url.hostname);
  const secure = url.protocol === "https:";
  const sent = httpRequest({
    agent: pools.agentFor(namespace, secure, fresh),
    method,
    host: url.hostname.replace(/^\[|\]$/g, ""),
    port: Number(url.port) || (secure ? 443 : 80),
    path: url.pathname + url.search,
    setHost: false,
    headers: { ...headers, host: url.host },
    maxHeaderSize: limits.headerBytes,
    timeout: limits.idleMs,
  });
  try {
    const answered = headOf(sent, call);
    send(sent, body);
    return await answered;
  } catch (thrown) {
    sent.destroy();
    const mayRepeat = IDEMPOTENT.has(method) && (body === undefined || Buffer.isBuffer(body));
    if (mayRepeat && !fresh && sent.reusedSocket && !isKnown(thrown, signal)) return "stale";
    throw explained(thrown, url.hostname, signal);
  }
}

/** Not by `pipeline`: that would destroy the body when the call fails, and with it the way to tell whoever sends it. */
function send(sent: ClientRequest, body: Exchange["body"]): void {
  if (body === undefined || Buffer.isBuffer(body)) {
    sent.end(body);
    return;
  }
  const broken = (error?: Error): void => {
    if (!body.readableEnded) sent.destroy(error ?? new Error("the body ended early"));
  };
  body.once("error", broken).once("close", broken).pipe(sent);
  sent.once("close", () => body.off("error", broken).off("close", broken).unpipe(sent));
}

/** The answer's head, in time. The limits on its body hold on after that, and break it off with their error. */
function headOf(sent: ClientRequest, { url, limits, signal }: Exchange): Promise<IncomingMessage> {
  const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>();
  let open: ClientRequest | IncomingMessage = sent;
  const end = (error: Error): void => {
    // A request that still waits for its connection would only tell when that is there.
    reject(error);
    open.destroy(error);
  };
  const late = (what: string, milliseconds: number): void =>
    end(new KeysteadError("outbound_timeout", `${url.hostname} ${what} within ${milliseconds / 1_000} s.`));
  let timer = setTimeout(late, limits.connectMs, "could not be connected to", limits.connectMs);
  const giveUp = (): void => end(endOf(signal, url.hostname));
  signal?.addEventListener("abort", giveUp, { once: true });
  sent
    .once("socket", () => clearTimeout(timer))
    .once("finish", () => {
      clearTimeout(timer);
      if (open === sent) timer = setTimeout(late, limits.firstByteMs, "did not answer", limits.firstByteMs);
    })
    .once("response", (answer) => {
      clearTimeout(timer);
      open = answer;
      resolve(answer);
    })
    .on("timeout", () => late("sent and took nothing", limits.idleMs))
    .on("error", reject)
    .once("close", () => {
      clearTimeout(timer);
      signal?.removeEventListener("abort", giveUp);
      reject(new Error("closed without an answer"));
    });
  return promise;
}

/** Whether the reason is ours, so that a new connection would not help. */
function isKnown(thrown: unknown, signal: AbortSignal | undefined): boolean {
  return thrown instanceof KeysteadError || signal?.aborted === true;
}

/** What ended a call whose signal fired: the reason it was given, or the error for too long a time. */
function endOf(signal: AbortSignal | undefined, hostname: string): Error {
  const reason: unknown = signal?.reason;
  if (!(reason instanceof Error)) return new KeysteadError("outbound_unreachable", "The call was given up.");
  if (reason.name !== "TimeoutError") return reason;
  return new KeysteadError("outbound_timeout", `The call of ${hostname} took longer than it may.`);
}

function explained(thrown: unknown, hostname: string, signal: AbortSignal | undefined): unknown {
  if (signal?.aborted) return endOf(signal, hostname);
  if (thrown instanceof KeysteadError) return thrown;
  if (codeOf(thrown)?.startsWith("HPE_")) {
    return unreachable(`What ${hostname} answered is not valid HTTP`, thrown, "outbound_answer_invalid");
  }
  return unreachable(`${hostname} closed the connection before it answered`, thrown);
}
