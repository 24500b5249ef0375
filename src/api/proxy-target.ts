import { KeysteadError } from "../errors.ts";
import { declaredOrigins, originOf, type ProxySpec, type Sending } from "../resources/proxy.ts";
import type { ProxyRequest } from "./proxy-request.ts";
import { asHeaderPart, asHostPart, asUrlPart, fill, type TemplateValues, unresolved } from "./proxy-template.ts";

/** Where a call goes, with the credential in its place. */
export interface ProxyTarget {
  readonly url: URL;
  /** Names in lower case; those of the template win over those of the caller. */
  readonly headers: Readonly<Record<string, string>>;
}

/** An integration that says where to call. */
export type ProxiedIntegration = Sending & { readonly proxy: ProxySpec };

/**
 * The call that a request stands for. While any origin of the integration waits to be accepted there is none, not even to one
 * that was accepted before. Pure.
 *
 * @throws `base_url_override_disabled`, `base_url_override_not_allowed`, `origin_not_accepted`,
 * `proxy_template_unresolved`, `invalid_uri_params`
 */
export function targetOf(
  integration: ProxiedIntegration,
  acceptedOrigins: readonly string[],
  request: ProxyRequest,
  values: TemplateValues,
): ProxyTarget {
  if (!declaredOrigins(integration).every((origin) => acceptedOrigins.includes(origin))) throw originNotAccepted();
  const { proxy: spec } = integration;
  const base = baseOf(spec, acceptedOrigins, request.baseUrlOverride, values);
  const url = within(base, request.path);
  url.search = withParameters(url.search, parametersOf(spec, values));
  return { url, headers: { ...request.headers, ...headersOf(spec, values) } };
}

/** The base URL, once it is sure that credentials may be sent to its origin. */
function baseOf(
  spec: ProxySpec,
  acceptedOrigins: readonly string[],
  override: string | undefined,
  values: TemplateValues,
): URL {
  const origin = override === undefined ? originOf(spec.baseUrl) : overrideOrigin(spec, override);
  if (origin === undefined || !acceptedOrigins.includes(origin)) throw originNotAccepted();
  return override === undefined ? filledBase(spec.baseUrl, values) : new URL(override);
}

function originNotAccepted(): KeysteadError {
  return new KeysteadError(
    "origin_not_accepted",
    "The integration was edited to point at another origin, and sends nothing until that is accepted: see its status.",
  );
}

function overrideOrigin({ allowedBaseUrls = [] }: ProxySpec, override: string): string {
  if (allowedBaseUrls.length === 0) {
    throw new KeysteadError(
      "base_url_override_disabled",
      "The integration allows no other base URL: spec.proxy.allowedBaseUrls is empty.",
    );
  }
  const origin = originOf(override);
  if (origin !== undefined && allowedBaseUrls.some((allowed) => originOf(allowed) === origin)) return origin;
  throw new KeysteadError(
    "base_url_override_not_allowed",
    "The origin of Base-Url-Override is not in spec.proxy.allowedBaseUrls of the integration.",
  );
}

function filledBase(template: string, values: TemplateValues): URL {
  const [, scheme = "", authority = "", path = ""] = /^(https?:\/\/)([^/]*)(.*)$/.exec(template) ?? [];
  const host = fill(authority, values, asHostPart);
  const filledPath = fill(path, values, asUrlPart);
  const url = URL.parse(scheme + host + filledPath);
  // The schema promises a fixed end; looked at once more, because a credential is sent to whatever this is.
  const [, suffix = ""] = /\}([^}:]*)(?::\d+)?$/.exec(authority) ?? [];
  if (!url?.hostname.endsWith(suffix.toLowerCase())) {
    throw unresolved("its base URL is none with the values of this connection");
  }
  // `.` and `..` are not encoded, and a URL resolves them away.
  if (url.pathname !== (filledPath === "" ? "/" : filledPath)) {
    throw unresolved("a value in the path of its base URL would change the path");
  }
  return url;
}

/** The path appended to the base. @throws `invalid_uri_params` for one that leaves it */
function within(base: URL, path: string): URL {
  const prefix = base.pathname.replace(/\/+$/, "");
  const url = URL.parse(base.origin + prefix + path);
  if (url?.origin === base.origin && url.pathname.startsWith(`${prefix}/`)) return url;
  throw new KeysteadError("invalid_uri_params", "The path leaves the base URL of the integration.");
}

function headersOf(spec: ProxySpec, values: TemplateValues): Record<string, string> {
  const headers = Object.entries(spec.headers ?? {}).map(
    ([name, template]) => [name.toLowerCase(), fill(template, values, asHeaderPart)] as const,
  );
  return { ...Object.fromEntries(headers), ...basicAuthOf(spec, values) };
}

function basicAuthOf({ basicAuth }: ProxySpec, values: TemplateValues): Record<string, string> {
  if (!basicAuth) return {};
  const username = fill(basicAuth.username, values, asIs);
  // RFC 7617 section 2: what follows the first colon is the password.
  if (username.includes(":")) throw unresolved("the user name has a colon in it");
  const password = fill(basicAuth.password ?? "", values, asIs);
  return { authorization: `Basic ${Buffer.from(`${username}:${password}`).toString("base64")}` };
}

const asIs = (value: string): string => value;

function parametersOf({ query = {} }: ProxySpec, values: TemplateValues): Map<string, string> {
  return new Map(
    Object.entries(query).map(([name, template]) => [
      name,
      `${asUrlPart(name)}=${asUrlPart(fill(template, values, asIs))}`,
    ]),
  );
}

/** The caller's query as it was written, without parameters that the template sets, and those behind it. */
function withParameters(search: string, added: ReadonlyMap<string, string>): string {
  const kept = search
    .slice(1)
    .split("&")
    .filter((part) => part !== "" && !added.has(nameOf(part)));
  return [...kept, ...added.values()].join("&");
}

function nameOf(part: string): string {
  const [name = ""] = new URLSearchParams(part).keys();
  return name;
}
