import type { IncomingHttpHeaders } from "node:http";
import { z } from "zod";
import { invalidRequest } from "./error-answer.ts";
import { connectionId, integrationKey } from "./request-schemas.ts";

/** Attempts after the first that a caller may ask for; with the pauses between them ten take minutes. */
const MAX_RETRIES = 10;

const wholeNumber = (most: number) =>
  z
    .string()
    .regex(/^\d{1,3}$/, "must be a whole number")
    .transform(Number)
    .refine((value) => value <= most, `must be at most ${most}`);

/** The client sends a header that it has no value for as an empty one. */
const orEmpty = <T>(schema: z.ZodType<T>) =>
  z
    .literal("")
    .transform(() => undefined)
    .or(schema)
    .optional();

const statuses = z
  .string()
  .transform((text) => text.split(",").map((status) => status.trim()))
  .pipe(z.array(z.string().regex(/^[1-5]\d\d$/, "must be statuses such as 429,500")).max(50))
  .transform((list) => new Set(list.map(Number)));

/** Headers that are for the proxy itself. */
export const proxyHeaders = z.object({
  "provider-config-key": integrationKey.describe("Name of the integration."),
  "connection-id": connectionId.describe("Id of the connection."),
  "base-url-override": orEmpty(
    z.string().refine((text) => URL.canParse(text) && /^https?:\/\//.test(text), "must be an http:// or https:// URL"),
  ).describe("Another base URL, whose origin the integration allows."),
  retries: orEmpty(wholeNumber(MAX_RETRIES)).describe(`Attempts after the first, 0 to ${MAX_RETRIES}. Default: 0.`),
  "retry-on": orEmpty(statuses).describe(
    "Statuses that are tried again, such as 409,423, beside those that always are.",
  ),
  decompress: orEmpty(z.enum(["true", "false"], "must be true or false")).describe("Whether the answer is unpacked."),
});

/** What a caller asks for. */
export interface ProxyRequest {
  readonly providerConfigKey: string;
  readonly connectionId: string;
  /** Base URL that the caller would like instead of the integration's. */
  readonly baseUrlOverride: string | undefined;
  readonly retries: number;
  /** Statuses that are tried again beside those that always are. */
  readonly retryOn: ReadonlySet<number>;
  readonly decompress: boolean;
  /** Path and query behind `/proxy`, as they were sent. */
  readonly path: string;
  /** For the provider, names in lower case. */
  readonly headers: Readonly<Record<string, string>>;
}

/** Headers of the caller that are about the body and the answer, and go on; no other does, `Authorization` and `Cookie` above all. */
const FORWARDED = [
  "accept",
  "accept-encoding",
  "accept-language",
  "content-encoding",
  "content-language",
  "content-type",
  "if-match",
  "if-modified-since",
  "if-none-match",
  "if-range",
  "if-unmodified-since",
  "range",
  "user-agent",
];

/** `Nango-Proxy-<name>` is sent as `<name>`, but for what belongs to the connection or says how long the body is. */
const PREFIX = "nango-proxy-";
const NEVER_SENT: ReadonlySet<string> = new Set([
  "connection",
  "content-length",
  "expect",
  "host",
  "keep-alive",
  "proxy-authorization",
  "proxy-connection",
  "te",
  "trailer",
  "transfer-encoding",
  "upgrade",
]);

/** Whether a request is for the proxy, so that its body is the provider's affair. */
export function isProxied(url: string): boolean {
  return url.startsWith("/proxy/");
}

/** What the bodies that are unpacked here may be packed with. */
const UNPACKED = "gzip, deflate, br, zstd";

/** @throws `invalid_headers` */
export function parseProxyRequest(url: string, headers: IncomingHttpHeaders): ProxyRequest {
  const parsed = proxyHeaders.safeParse(headers);
  if (!parsed.success) throw invalidRequest("invalid_headers", parsed.error);
  const { data } = parsed;
  const decompress = data.decompress === "true";
  return {
    providerConfigKey: data["provider-config-key"],
    connectionId: data["connection-id"],
    baseUrlOverride: data["base-url-override"],
    retries: data.retries ?? 0,
    retryOn: data["retry-on"] ?? new Set(),
    decompress,
    path: url.slice("/proxy".length),
    headers: {
      ...forwarded(headers),
      ...(decompress && { "accept-encoding": UNPACKED }),
      ...custom(headers),
    },
  };
}

function forwarded(headers: IncomingHttpHeaders): Record<string, string> {
  return Object.fromEntries(
    FORWARDED.flatMap((name) => {
      const value = headers[name];
      return typeof value === "string" ? [[name, value]] : [];
    }),
  );
}

function custom(headers: IncomingHttpHeaders): Record<string, string> {
  return Object.fromEntries(
    Object.entries(headers).flatMap(([header, value]) => {
      const name = header.slice(PREFIX.length);
      const isSent = header.startsWith(PREFIX) && name !== "" && !NEVER_SENT.has(name);
      return isSent && value !== undefined ? [[name, [value].flat().join(", ")]] : [];
    }),
  );
}
