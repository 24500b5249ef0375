import { pipeline, Readable, type Transform } from "node:stream";
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

/**
 * The body of an answer to this method unpacked, if it is packed in a way that is known here; one after the other is not.
 * Undefined as well for an answer that has no body: its headers then speak of another one (RFC 9110 sections 9.3.2, 15.4.5).
 */
export function unpacked(
  { status, headers, body }: Pick<OutboundAnswer, "status" | "headers" | "body">,
  method: string,
): Readable | undefined {
  const unpack = unpackers[headers["content-encoding"]?.toLowerCase() ?? ""];
  const isEmpty = method === "HEAD" || WITHOUT_BODY.has(status) || headers["content-length"] === "0";
  return unpack && !isEmpty ? Readable.from(unpackedChunks(body, unpack())) : undefined;
}

/** Fails like `body`, and where that ends too soon. For zlib no byte at all is too soon; here it is nothing that was packed. */
async function* unpackedChunks(body: Readable, unpacker: Transform): AsyncGenerator<Buffer> {
  const chunks: AsyncIterator<Buffer> = body[Symbol.asyncIterator]();
  const first = await chunks.next();
  if (first.done) return;
  const all = async function* (): AsyncGenerator<Buffer> {
    yield first.value;
    yield* { [Symbol.asyncIterator]: () => chunks };
  };
  // Its error is that of the stream that is read.
  yield* pipeline(all, unpacker, () => undefined);
}

const WITHOUT_BODY: ReadonlySet<number> = new Set([204, 304]);

const unpackers: Readonly<Record<string, () => Transform>> = {
  gzip: createGunzip,
  "x-gzip": createGunzip,
  deflate: createInflate,
  br: createBrotliDecompress,
  zstd: createZstdDecompress,
};
