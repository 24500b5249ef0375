import { pipeline, type Readable } from "node:stream";
import { createBrotliDecompress, createGunzip, createInflate, createZstdDecompress } from "node:zlib";
import type { OutboundAnswer } from "../outbound/outbound.ts";
import { CROSS_ORIGIN_HEADERS } from "./cross-origin.ts";

/** About one connection (RFC 9110 section 7.6.1); what `Connection` names is added to them. */
const HOP_BY_HOP: readonly string[] = [
  "connection",
  "keep-alive",
  "proxy-authenticate",
  "proxy-authentication-info",
  "proxy-connection",
  "te",
  "trailer",
  "transfer-encoding",
  "upgrade",
];

/** What a browser would take for a word about our host, and is one about the provider's. */
const ABOUT_ITS_HOST: readonly string[] = ["alt-svc", "clear-site-data", "strict-transport-security"];

/** One path stands for a different answer with each of these. */
const VARIES = "Authorization, Provider-Config-Key, Connection-Id, Base-Url-Override";

/** Headers for the caller, names in lower case: all of the answer that are meant for its end. */
export function answerHeaders(rawHeaders: readonly string[]): Record<string, string[]> {
  const headers = new Map<string, string[]>();
  for (let index = 0; index < rawHeaders.length; index += 2) {
    const name = rawHeaders[index]?.toLowerCase() ?? "";
    headers.set(name, [...(headers.get(name) ?? []), rawHeaders[index + 1] ?? ""]);
  }
  const named = (headers.get("connection") ?? []).flatMap((value) => value.toLowerCase().split(/\s*,\s*/));
  for (const name of [...HOP_BY_HOP, ...named, ...ABOUT_ITS_HOST]) headers.delete(name);
  for (const name of headers.keys()) if (name.startsWith("access-control-")) headers.delete(name);
  for (const [name, value] of Object.entries(CROSS_ORIGIN_HEADERS)) headers.set(name, [value]);
  headers.set("vary", [...(headers.get("vary") ?? []), VARIES]);
  return Object.fromEntries(headers);
}

/** The answer with its body unpacked, if it is packed in a way that is known here; one after the other is not. */
export function unpacked({ headers, body }: Pick<OutboundAnswer, "headers" | "body">): Readable | undefined {
  const unpack = unpackers[headers["content-encoding"]?.toLowerCase() ?? ""];
  // Its error is that of the stream that is read.
  return unpack && pipeline(body, unpack(), () => undefined);
}

const unpackers: Readonly<
  Record<
    string,
    () => ReturnType<
      typeof createGunzip | typeof createBrotliDecompress | typeof createInflate | typeof createZstdDecompress
    >
  >
> = {
  gzip: createGunzip,
  "x-gzip": createGunzip,
  deflate: createInflate,
  br: createBrotliDecompress,
  zstd: createZstdDecompress,
};
