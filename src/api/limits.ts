import { READ_LIMIT_MS } from "../db/connection-settings.ts";
import type { OutboundLimits } from "../outbound/outbound.ts";

// What one request or connection may take of the process. The numbers stand in docs/api.md as well.

/** Bytes of a request's body. No body of the contract's credential part comes near it: a GitHub App's key has 2 KiB. */
export const BODY_BYTES = 1024 * 1024;

/** Bytes of all headers together. A browser behind a proxy sends up to 8 KiB; nobody sends twice that on purpose. */
export const HEADER_BYTES = 16 * 1024;

/** Connections of one process: an idle one costs about 10 KiB, so that many stay within 100 MiB. */
export const CONNECTIONS = 10_000;

/**
 * Characters of one part of the path, still percent-encoded. An id has up to 255, each up to three when encoded; a
 * longer one is no id, and what is between 256 and this gets the answer that says so.
 */
export const PATH_PART_CHARACTERS = 1_024;

/** How long one thing may take, in milliseconds. Only tests have others. */
export interface Timeouts {
  /** For all headers to arrive, so that a connection that trickles them is not kept for free. */
  readonly headers: number;
  /** For the body of a request to arrive after its headers, unless the proxy passes it on. */
  readonly body: number;
  /** How often Node looks for connections whose headers are late, and we for answers that are not taken; both are ended within this time. */
  readonly check: number;
  /** From the request to its answer; 503 after it. */
  readonly answer: number;
  /** For the caller to take one write of an answer. */
  readonly answerTaken: number;
  /** For a kept connection to be idle. */
  readonly keepAlive: number;
  /** For a provider to be connected to, TLS included. */
  readonly providerConnect: number;
  /** From the end of a request to a provider to the head of its answer. */
  readonly providerFirstByte: number;
  /** For a call of a provider to stand still in both directions, or the body that is passed on to it. */
  readonly providerIdle: number;
}

/** What a running API has; docs/api.md says what callers see beyond them. */
export const TIMEOUTS: Timeouts = {
  headers: 10_000,
  /** 1 MiB at 35 KB/s. */
  body: 30_000,
  check: 2_000,
  answer: READ_LIMIT_MS,
  /** As long as a provider may stand still whose answer is passed on, since its stands still with the caller's. */
  answerTaken: 60_000,
  /** Longer than the 60 s of usual load balancers, which would send into a closed connection otherwise. */
  keepAlive: 75_000,
  providerConnect: 10_000,
  /** The slowest APIs build a report while they are waited for. */
  providerFirstByte: 60_000,
  providerIdle: 60_000,
};

/** Bytes of the headers of a provider's answer: the cookies of some exceed what Node takes by default. */
const PROVIDER_HEADER_BYTES = 64 * 1024;

/** The limits of a proxied call. Its body has none: it is passed on as it comes. */
export function proxyLimits(timeouts: Timeouts): OutboundLimits {
  return {
    connectMs: timeouts.providerConnect,
    firstByteMs: timeouts.providerFirstByte,
    idleMs: timeouts.providerIdle,
    headerBytes: PROVIDER_HEADER_BYTES,
  };
}
