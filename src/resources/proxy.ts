import { z } from "zod";
import { textMap } from "./field.ts";
import { matches, type Rule, withRules } from "./rule.ts";

/** `${config.subdomain}`: a member of the connection's config, which Nango's templates call `connectionConfig`. */
const CONFIG = String.raw`\$\{(?:config|connectionConfig)(?:[.][A-Za-z0-9_-]+)+\}`;
/** The same, or a member of its credentials. */
const PLACEHOLDER = String.raw`\$\{(?:config|connectionConfig|credentials)(?:[.][A-Za-z0-9_-]+)+\}`;

const FIXED_HOST = String.raw`[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?|\[[0-9A-Fa-f:.]+\]`;
/**
 * What follows the last placeholder begins a new label and has at least two of them: else a connection's config would
 * choose the domain. The last label begins with a letter, so that the whole is never an address.
 */
const FILLED_HOST = String.raw`(?:[A-Za-z0-9.-]|${CONFIG})*${CONFIG}[A-Za-z0-9-]*(?:[.][A-Za-z0-9-]+)+[.][A-Za-z][A-Za-z0-9-]*`;

const PORT = "(?::[0-9]{1,5})?";
const PATH = String.raw`(?:/(?:[!%&'()*+,./0-9:;=@A-Z_a-z~-]|${PLACEHOLDER})*)?`;
const BASE_URL = new RegExp(`^https?://(?:${FIXED_HOST}|${FILLED_HOST})${PORT}${PATH}$`);
const ORIGIN = new RegExp(`^https?://(?:${FIXED_HOST})${PORT}$`);

/** Printable ASCII; a dollar sign only ever begins a placeholder, so that a misspelt one is not sent as it stands. */
const TEMPLATE = new RegExp(`^(?:[ -#%-~]|${PLACEHOLDER})*$`);

/** Segments that a URL would resolve away. */
const DOTS = "/[.][.]?(/|$)";

/** Names of headers that belong to one connection and not to the request (RFC 9110 section 7.6.1), or say where it goes. */
const OWN_HEADERS = [
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
];

/** Text with placeholders. */
function template(max: number) {
  return withRules(
    z.string().max(max),
    matches(
      TEMPLATE,
      "must be printable ASCII, with a dollar sign only where a placeholder begins: ${credentials.name} or ${config.name}",
    ),
  );
}

const noOwnHeaders: Rule<Record<string, string>> = {
  cel: `!self.exists(name, name.lowerAscii() in ${JSON.stringify(OWN_HEADERS)})`,
  holds: (headers) => !Object.keys(headers).some((name) => OWN_HEADERS.includes(name.toLowerCase())),
  message: "must not have a header that Keystead sets itself, such as host, connection or content-length",
};

interface ProxyParts {
  readonly headers?: Readonly<Record<string, string>> | undefined;
  readonly basicAuth?: unknown;
}

const oneAuthorization: Rule<ProxyParts> = {
  cel: "!has(self.basicAuth) || !has(self.headers) || !self.headers.exists(name, name.lowerAscii() == 'authorization')",
  holds: ({ basicAuth, headers = {} }) =>
    basicAuth === undefined || !Object.keys(headers).some((name) => name.toLowerCase() === "authorization"),
  message: "must not have both basicAuth and a header authorization",
};

/** `spec.proxy`: where the proxy of the API calls, and where the credential goes. */
export const proxy = withRules(
  z.object({
    baseUrl: withRules(
      z.string().max(1_024),
      matches(
        BASE_URL,
        "must be a URL such as https://api.example.com/v1, without query; a placeholder in its host must be ${config.name}, followed by a fixed domain such as .example.com",
      ),
      {
        cel: `!self.matches(${JSON.stringify(DOTS)})`,
        holds: (url) => !new RegExp(DOTS).test(url),
        message: "must not have a path with . or .. in it",
      },
    ).describe(
      "What paths are appended to. ${config.name} is a member of the connection's config (${connectionConfig.name} is the same), ${credentials.name} one of its credentials (not in the host). In the host a value must be 1 to 63 letters, digits and hyphens; in the path it is percent-encoded. Plain http only reaches what the operator has listed.",
    ),
    headers: withRules(
      textMap(
        16,
        { max: 64, pattern: /^[A-Za-z0-9!#$%&'*+.^_`|~-]+$/, allowed: "characters of a header's name" },
        template(1_024),
      ),
      noOwnHeaders,
    )
      .optional()
      .describe(
        'Headers that are set on every call, at most 16, such as authorization: "Bearer ${credentials.access_token}". They win over those of the caller.',
      ),
    query: textMap(
      16,
      { max: 64, pattern: /^[A-Za-z0-9._~[\]-]+$/, allowed: "letters, digits, '.', '_', '~', '[', ']' and '-'" },
      template(1_024),
    )
      .optional()
      .describe(
        "Query parameters that are set on every call, at most 16; values are percent-encoded. They win over those of the caller.",
      ),
    basicAuth: z
      .object({
        username: template(1_024).describe("The user name. It cannot have a colon in it."),
        password: template(1_024).optional().describe("The password; empty if left out."),
      })
      .optional()
      .describe("User name and password for HTTP Basic authentication."),
    // Sent only where somebody has said so beforehand: a caller could else name any host and be sent the credential.
    allowedBaseUrls: z
      .array(
        withRules(
          z.string().max(320),
          matches(ORIGIN, "must be scheme and host, with a port if need be: https://uploads.example.com"),
        ),
      )
      .max(16)
      .optional()
      .meta({
        description:
          "Where else a caller may send a call, by the header Base-Url-Override: scheme, host and port, at most 16. None if left out.",
        "x-kubernetes-list-type": "atomic",
      }),
  }),
  oneAuthorization,
);

/** What {@link proxy} takes. */
export type ProxySpec = z.output<typeof proxy>;

/**
 * Scheme, host and port of a base URL, placeholders in the host included. Two spellings of one origin give the same text.
 * Undefined for what only looks like a URL, such as one with port 99999.
 */
export function originOf(baseUrl: string): string | undefined {
  const origin = URL.parse(baseUrl)?.origin;
  return origin === "null" ? undefined : origin;
}

/** What says where an integration sends credentials. */
export interface Sending {
  readonly auth?: { readonly tokenUrl?: string | undefined } | undefined;
  readonly proxy?: ProxySpec | undefined;
}

/** Every origin that credentials are sent to, sorted, each once: the token URL, the base URL, and those a caller may choose. */
export function declaredOrigins({ auth, proxy: sent }: Sending): string[] {
  const urls = [auth?.tokenUrl, sent?.baseUrl, ...(sent?.allowedBaseUrls ?? [])];
  const origins = urls.map((url) => (url === undefined ? undefined : originOf(url)));
  return [...new Set(origins.filter((origin) => origin !== undefined))].toSorted();
}
