import type { IncomingHttpHeaders, IncomingMessage } from "node:http";
import type { Readable } from "node:stream";
import { KeysteadError } from "../errors.ts";
import { limitBytes } from "./byte-limit.ts";
import { createDialler, type DiallerOptions } from "./dialler.ts";
import { exchange, type Limits } from "./exchange.ts";
import { createPools, type Pools } from "./pools.ts";
import { followed, type Hop } from "./redirect.ts";

/** A call to somewhere else. */
export interface OutboundRequest extends Hop {
  /** Namespace of the resource that asks for it, for entries of the list that are for one. */
  readonly namespace: string | undefined;
  /** Redirects that are followed, each checked like a call of its own. With 0 the answer is given as it is. */
  readonly redirects: number;
  readonly limits: OutboundLimits;
  /** Breaks the call off, the body of its answer included. */
  readonly signal?: AbortSignal | undefined;
}

/** How long a call may take and how much may come back. Milliseconds and bytes. */
export interface OutboundLimits extends Limits {
  /** For everything, redirects and the body of the answer included. Default: as long as bytes flow. */
  readonly totalMs?: number;
  /** Of the answer's body. Default: any amount. */
  readonly bodyBytes?: number;
}

/** What came back, whatever its status. */
export interface OutboundAnswer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  /** Names and values in turn, as they were received. */
  readonly rawHeaders: readonly string[];
  /** Still to be read: whoever has it reads it to its end or destroys it. */
  readonly body: Readable;
}

/** The one way out: whatever calls another server does it through this, and so under one policy. */
export interface Outbound extends Disposable {
  /**
   * Rejects with one of the `outbound_*` errors, none of which holds anything that was sent or received, or with the
   * reason of the signal.
   */
  call(request: OutboundRequest): Promise<OutboundAnswer>;
}

/** Opens nothing yet. Disposing it closes the connections that are kept. */
export function createOutbound(options: DiallerOptions): Outbound {
  const pools = createPools(createDialler(options));
  return {
    async call(request) {
      const { totalMs, bodyBytes } = request.limits;
      const signals = [request.signal, totalMs === undefined ? undefined : AbortSignal.timeout(totalMs)];
      const answer = await follow(pools, request, AbortSignal.any(signals.filter((signal) => signal !== undefined)));
      return {
        status: answer.statusCode ?? 0,
        headers: answer.headers,
        rawHeaders: answer.rawHeaders,
        body: bodyBytes === undefined ? answer : limitBytes(answer, bodyBytes),
      };
    },
    [Symbol.dispose]: () => pools[Symbol.dispose](),
  };
}

/** The first answer that is no redirect to follow. */
async function follow(pools: Pools, request: OutboundRequest, signal: AbortSignal): Promise<IncomingMessage> {
  const { namespace, limits, redirects } = request;
  let hop: Hop = request;
  for (let left = redirects; ; left -= 1) {
    const { method, url, headers, body } = hop;
    const answer = await exchange(pools, { method, url, headers, body, namespace, limits, signal });
    const next = redirects === 0 ? undefined : followed(hop, answer.statusCode ?? 0, answer.headers.location);
    if (!next) return answer;
    // Not read: a redirect may carry any amount.
    answer.on("error", () => undefined).destroy();
    if (left === 0) {
      throw new KeysteadError(
        "outbound_redirects_exceeded",
        `${url.hostname} redirected again after ${redirects} redirects.`,
      );
    }
    hop = next;
  }
}
