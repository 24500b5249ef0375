import { randomBytes, randomUUID } from "node:crypto";
import type { IncomingHttpHeaders } from "node:http";

/** Anything that can stand in a log line and a header; longer ones are nobody's. */
const REQUEST_ID = /^[A-Za-z0-9._:+/=-]{1,128}$/;

/** W3C Trace Context, version 00 or later: what follows the four fields of a later one is not ours to know. */
const TRACE_PARENT = /^(?!ff)([0-9a-f]{2})-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-([0-9a-f]{2})(?:$|-)/;

/** The caller's `X-Request-Id`, or one of our own where there is none that can be used. */
export function requestIdOf(headers: IncomingHttpHeaders): string {
  const given = headers["x-request-id"];
  return typeof given === "string" && REQUEST_ID.test(given) ? given : randomUUID();
}

/** The part of a trace that this request is: the caller's trace, with a span of its own. Undefined where none came. */
export function traceParentOf(headers: IncomingHttpHeaders): string | undefined {
  const given = headers["traceparent"];
  const match = typeof given === "string" && given.length <= 256 ? TRACE_PARENT.exec(given) : null;
  if (!match) return undefined;
  const [whole, version, traceId, flags] = match;
  if (version === "00" && whole.endsWith("-")) return undefined;
  return `00-${traceId}-${randomBytes(8).toString("hex")}-${flags}`;
}
