import { z } from "zod";
import { parseCidr } from "./cidr.ts";
import { encryptionKeyProblem } from "./crypto/kek.ts";
import { Secret } from "./crypto/secret.ts";
import { parseAllowEntry } from "./outbound/allow-list.ts";

// How the text of a variable becomes a value. Messages end up in the error of a refused start, so they name the rule
// and never repeat the text: it may be a secret.

/** Nine digits at most, so that it stays an exact number whatever the range says. */
export const wholeNumber = (minimum: number, maximum: number, byDefault: number) =>
  z
    .string()
    .regex(/^\d{1,9}$/, "must be a whole number")
    .transform(Number)
    .refine((value) => value >= minimum && value <= maximum, `must be from ${minimum} to ${maximum}`)
    .default(byDefault);

/**
 * Kubernetes gives every pod `<SERVICE>_PORT=tcp://10.0.0.1:3003` for each Service of its namespace: a Service named
 * `keystead-api` would set KEYSTEAD_API_PORT. Such a value is nobody's wish, so it counts as unset.
 */
export const port = (byDefault: number) =>
  z.preprocess(
    (value) => (typeof value === "string" && /^(tcp|udp|sctp):\/\//.test(value) ? undefined : value),
    wholeNumber(0, 65_535, byDefault),
  );

/** Only `true` and `false`: of `yes`, `1` and `on` some would be missed, and a switch that is silently off is worse than an error. */
export const flag = (byDefault: boolean) =>
  z
    .enum(["true", "false"], "must be true or false")
    .default(byDefault ? "true" : "false")
    .transform((text) => text === "true");

/** A database URL carries a password, hence a `Secret`. */
export const postgresUrl = z
  .string("must be set")
  .refine((text) => /^postgres(ql)?:\/\//.test(text) && URL.canParse(text), "must be a postgres:// URL")
  .transform((text) => new Secret(text));

/** The operator's key, by the rule of crypto/: checked here as well so that everything wrong is said at once. */
export const encryptionKey = z
  .string()
  .trim()
  .superRefine((text, context) => {
    const message = encryptionKeyProblem(text);
    if (message !== undefined) context.addIssue({ code: "custom", message });
  })
  .transform((text) => new Secret(text));

/** Items between commas, without white space and empty ones. */
export const commaSeparated = z.string().transform((text) =>
  text
    .split(",")
    .map((item) => item.trim())
    .filter((item) => item !== ""),
);

/** A block of addresses, with its prefix: a lone `10.0.0.1` would leave open whether the network was meant. */
export const cidr = z.string().transform((text, context) => {
  const block = parseCidr(text);
  if (block) return block;
  context.addIssue("must be a block of addresses such as 10.0.0.0/8 or 2001:db8::/32");
  return z.NEVER;
});

/** A namespace or a release: RFC 1123 label, as Kubernetes wants both. */
export const dnsLabel = z
  .string()
  .regex(/^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/, "must be an RFC 1123 label: up to 63 of a-z, 0-9 and -");

/** A URL with an optional base path, without the trailing slash that clients would double. */
export const httpUrl = z
  .url({ protocol: /^https?$/, error: "must be an http:// or https:// URL" })
  .transform((text) => text.replace(/\/+$/, ""));

/** An address to listen on; whether this machine has it shows when the socket is opened. */
export const listenAddress = z.string().max(255, "is longer than 255 characters").optional();

/** Whole days, as `400d`. */
export const retentionDays = (byDefault: number): z.ZodType<number> =>
  z
    .string()
    .regex(/^[1-9]\d{0,4}d$/, "must be a number of days such as 400d")
    .default(`${byDefault}d`)
    .transform((text) => Number(text.slice(0, -1)))
    .refine((days) => days <= 36_500, "is longer than 36500d");

/** What may be called beyond the public internet. */
export const outboundAllow = commaSeparated
  .pipe(
    z
      .array(
        z.string().transform((text, context) => {
          const entry = parseAllowEntry(text);
          if (entry) return entry;
          context.addIssue({ code: "custom", message: "is no network, address or host name" });
          return z.NEVER;
        }),
      )
      .max(500, "holds more than 500 entries"),
  )
  .optional();

/** URL of a proxy. It may hold a password, hence a `Secret`. */
export const proxyUrl = z
  .string()
  .refine((text) => /^https?:\/\//.test(text) && isProxyUrl(text), "must be an http:// or https:// URL without a path")
  .transform((text) => new Secret(text))
  .optional();

function isProxyUrl(text: string): boolean {
  const url = URL.parse(text);
  if (!url || url.pathname !== "/" || url.search !== "" || url.hash !== "") return false;
  // A percent sign that stands for itself would only fail with the first call.
  return !/%(?![0-9A-Fa-f]{2})/.test(url.username + url.password);
}
