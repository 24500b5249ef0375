import type { Readable } from "node:stream";

/** Headers of a request, names in lower case. */
export type Headers = Readonly<Record<string, string | string[]>>;

/** One request on its way. */
export interface Hop {
  readonly method: string;
  readonly url: URL;
  readonly headers: Headers;
  /** A stream can be sent once only. */
  readonly body: Buffer | Readable | undefined;
}

/** What goes along to another origin: headers that hold no credential, whoever set them. All others stay behind. */
const FOR_ANYBODY: ReadonlySet<string> = new Set([
  "accept",
  "accept-encoding",
  "accept-language",
  "content-encoding",
  "content-language",
  "content-length",
  "content-type",
  "if-match",
  "if-modified-since",
  "if-none-match",
  "if-range",
  "if-unmodified-since",
  "range",
  "user-agent",
]);

const OF_A_BODY: ReadonlySet<string> = new Set([
  "content-encoding",
  "content-language",
  "content-length",
  "content-type",
]);

/**
 * The request that a redirect asks for, as the Fetch standard has it; undefined where it cannot be followed: no usable
 * `Location`, or a body that would have to be sent a second time and is gone. Pure.
 */
export function followed(hop: Hop, status: number, location: string | undefined): Hop | undefined {
  if (![301, 302, 303, 307, 308].includes(status)) return undefined;
  const url = location === undefined ? null : URL.parse(location, hop.url.href);
  if (!url || !/^https?:$/.test(url.protocol)) return undefined;
  const becomesGet = status === 303 ? !["GET", "HEAD"].includes(hop.method) : status < 303 && hop.method === "POST";
  if (!becomesGet && hop.body !== undefined && !Buffer.isBuffer(hop.body)) return undefined;
  const kept = Object.entries(hop.headers).filter(
    ([name]) => (url.origin === hop.url.origin || FOR_ANYBODY.has(name)) && !(becomesGet && OF_A_BODY.has(name)),
  );
  return {
    method: becomesGet ? "GET" : hop.method,
    url,
    headers: Object.fromEntries(kept),
    body: becomesGet ? undefined : hop.body,
  };
}
