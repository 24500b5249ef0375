import type { ClientRequest } from "node:http";
import { KeysteadError } from "../errors.ts";
import { aborted } from "./call-slots.ts";

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

/** How a request that was sent comes to its end. The first end counts. */
export interface Settle<T> {
  resolve(value: T): void;
  reject(error: KeysteadError): void;
  /** Something arrived. */
  progress(): void;
}

/** Runs one request with its deadline, its silence limit and its signal; whichever way it ends, timer and listener are gone. */
export function exchange<T>(call: WireCall, start: (settle: Settle<T>) => ClientRequest): Promise<T> {
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

function actionOf(call: WireCall): string {
  return `${call.method} ${call.path}`;
}

/** The connection failed, whichever way; `details.networkCode` is Node's code for it. */
export function unreachable(call: WireCall, cause: unknown): KeysteadError {
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

/** The answer was not read to its end. */
export function tooLarge(call: WireCall): KeysteadError {
  return new KeysteadError(
    "kube_answer_too_large",
    `${actionOf(call)} was answered with more than ${call.maxAnswerBytes} bytes`,
    { details: { maxAnswerBytes: call.maxAnswerBytes } },
  );
}
