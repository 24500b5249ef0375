import type { IncomingMessage } from "node:http";
import type { Readable } from "node:stream";
import { buffer } from "node:stream/consumers";
import { BODY_BYTES } from "./limits.ts";

const WITH_BODY: ReadonlySet<string> = new Set(["POST", "PUT", "PATCH"]);

/** Whether the body of a request is passed on as it comes: it is larger than what is kept here, or of unknown length. */
export function isStreamed({ headers, httpVersionMajor, method = "" }: IncomingMessage): boolean {
  const length = headers["content-length"];
  if (length !== undefined) return Number(length) > BODY_BYTES;
  // A body of HTTP/2 needs no header that tells of it.
  return headers["transfer-encoding"] !== undefined || (httpVersionMajor === 2 && WITH_BODY.has(method));
}

/**
 * The body to send. One of up to 1 MiB is kept, so that it can be sent again after a failure or a redirect; a larger one,
 * or one that does not say how large it is, is a stream.
 */
export async function bodyOf(request: IncomingMessage): Promise<Buffer | Readable | undefined> {
  if (isStreamed(request)) return request;
  return Number(request.headers["content-length"] ?? 0) === 0 ? undefined : buffer(request);
}

/** How long the body is, as a header; nothing for one that does not say so. */
export function lengthOf({ headers }: IncomingMessage, body: Buffer | Readable | undefined): Record<string, string> {
  if (body === undefined) return {};
  if (Buffer.isBuffer(body)) return { "content-length": String(body.length) };
  const length = headers["content-length"];
  return length === undefined ? {} : { "content-length": length };
}
