import { z } from "zod";
import { type Rule, celString, matches, withRules } from "./rule.ts";

type JsonValue = string | number | boolean | null | readonly JsonValue[] | JsonObject;
/** A JSON object as it came from the API server. */
export interface JsonObject {
  readonly [key: string]: JsonValue;
}

/** Largest free-form object (`config`, `metadata`, `claims`), in characters of its JSON. Three of them stay far under etcd's 1.5 MiB. */
export const MAX_JSON_LENGTH = 65_536;

/** How deep a free-form object may nest; Nango's own metadata is two or three levels deep. */
export const MAX_JSON_DEPTH = 16;

/** Entries at the top of a free-form object: the one limit that the API server can check itself. */
const MAX_JSON_KEYS = 256;

/** RFC 1123, as Kubernetes reads it: no length of its own for a label, 253 characters for the whole. */
const DNS_LABEL = "[a-z0-9](?:[-a-z0-9]*[a-z0-9])?";
const DNS_SUBDOMAIN = new RegExp(`^${DNS_LABEL}(?:[.]${DNS_LABEL})*$`);

/**
 * Name of an object in the same namespace, and nothing else: no path to another namespace, no wildcard, no
 * look-alike letter can be written in it (CVE-2026-42875).
 */
export const objectName = withRules(
  z.string().max(253),
  matches(
    DNS_SUBDOMAIN,
    "must be the name of an object in the same namespace: lower-case letters, digits, '-' and '.', beginning and ending with a letter or digit",
  ),
);

/** As Kubernetes checks the keys of a Secret. A key in `..` form is how the kubelet marks its own files in a volume. */
const secretKey = withRules(
  z.string().max(253),
  matches(
    /^[.]?[-_a-zA-Z0-9][-._a-zA-Z0-9]*$/,
    "must be a key of a Secret: letters, digits, '-', '_' and '.', not beginning with '..'",
  ),
);

/**
 * Reference to another resource of ours by name. Atomic: a server-side apply replaces it as a whole, so two appliers
 * never end up with one half each. There is no field for a namespace, on purpose.
 */
export function reference(kind: string, description: string) {
  return z
    .object({ name: objectName.describe(`Name of the ${kind}, which has to be in the same namespace.`) })
    .meta({ description, "x-kubernetes-map-type": "atomic" });
}

/** Id of a row. */
export function uuid() {
  return withRules(
    z.string().max(36),
    matches(
      /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/,
      "must be an id as a status or the event of a deletion shows it: a UUID in lower case",
    ),
  );
}

/** `spec.restoreFrom`: id of a row, as the status and the event of a deletion say it. */
export function restoreFrom(kind: string, along: string) {
  return uuid()
    .optional()
    .describe(
      `Id of a deleted ${kind} to bring back${along}, as the event of its deletion says it. Possible until its retention ends, for one that a resource of this cluster and namespace managed last. Done once: afterwards it may stay or go.`,
    );
}

/** `spec.deletionPolicy`: what becomes of what is stored when the resource is deleted. */
export function deletionPolicy<Policy extends string>(policies: readonly [Policy, ...Policy[]], meaning: string) {
  // No default, as for suspend: it would be in every object that was ever stored.
  return z.enum(policies).optional().describe(meaning);
}

/** Reference to one key of a Secret of the same namespace. */
export function secretKeyRef(description: string) {
  return z
    .object({
      name: objectName.describe(
        "Name of the Secret, which has to be in the same namespace. It may be created later: what waits for it goes on as soon as it appears.",
      ),
      key: secretKey.describe("Key of the Secret whose value is used. The value is UTF-8 text of 1 byte to 64 KiB."),
    })
    .meta({ description, "x-kubernetes-map-type": "atomic" });
}

/**
 * One line of text of at most `max` characters. Control characters are out: Postgres stores no NUL, and a line break in
 * an id only ever hides something.
 */
export function line(max: number, min: 0 | 1 = 1): z.ZodString {
  return characters(
    max,
    matches(
      min === 1 ? /^\P{Cc}+$/u : /^\P{Cc}*$/u,
      `must be one line of ${min} to ${max} characters without control characters`,
    ),
  );
}

/** Text of at most `max` characters, line breaks included. */
export function text(max: number): z.ZodString {
  return characters(
    max,
    matches(/^[\P{Cc}\t\n\r]*$/u, "must not hold control characters other than tabs and line breaks"),
  );
}

/** Characters are counted as the API server counts them: in code points, where JavaScript counts UTF-16 units. */
function characters(max: number, rule: Rule<string>): z.ZodString {
  const bounded = z
    .string()
    .check(z.refine((value) => codePoints(value) <= max, `must have at most ${max} characters`));
  return withRules(bounded, rule).meta({ maxLength: max });
}

function codePoints(value: string): number {
  return Array.from(value).length;
}

/** What the keys of a map may be; `allowed` follows "must have keys of 1 to 64". */
export interface MapKeys {
  readonly max: number;
  readonly pattern: RegExp;
  readonly allowed: string;
}

/** Map of at most `maxEntries` texts. */
export function textMap(maxEntries: number, { max, pattern, allowed }: MapKeys, value: z.ZodString) {
  const bounded = z
    .record(z.string(), value)
    .check(z.refine((map) => Object.keys(map).length <= maxEntries, `must have at most ${maxEntries} entries`));
  return withRules(bounded, {
    // zod leaves __proto__ out of what it parses, so that one is refused by the API server alone.
    cel: `self.all(key, size(key) <= ${max} && key.matches(${celString(pattern.source)}) && key != "__proto__")`,
    holds: (map) => Object.keys(map).every((key) => codePoints(key) <= max && pattern.test(key)),
    message: `must have keys of 1 to ${max} ${allowed}`,
  }).meta({ maxProperties: maxEntries });
}

/**
 * A JSON object of any shape. The API server keeps such an object as it is and cannot look inside, so its limits are
 * checked by the controller and a broken one is `Stalled` with `InvalidSpec`.
 */
export function freeForm(description: string) {
  return z
    .custom<JsonObject>(isJsonObject, "must be an object")
    .check(({ value, issues }) => {
      const message = complaintAbout(value, MAX_JSON_DEPTH) ?? complaintAboutSize(value);
      if (message !== undefined) issues.push({ code: "custom", message, input: value });
    })
    .meta({
      description: `${description} At most ${MAX_JSON_LENGTH / 1_024} KiB as JSON, nested at most ${MAX_JSON_DEPTH} deep.`,
      type: "object",
      maxProperties: MAX_JSON_KEYS,
      "x-kubernetes-preserve-unknown-fields": true,
    });
}

function isJsonObject(value: unknown): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** Recursion ends at `depth`, so an object that nests 100,000 deep is refused before it can exhaust the stack. */
function complaintAbout(value: unknown, depth: number): string | undefined {
  if (typeof value === "string") return value.includes("\0") ? "must not hold a NUL character" : undefined;
  // The API server keeps 64-bit integers, JavaScript rounds them: storing 9007199254740992 for ...993 would be a lie.
  if (typeof value === "number" && Number.isInteger(value) && !Number.isSafeInteger(value)) {
    return "must not hold an integer beyond 2^53: write it as text";
  }
  if (typeof value !== "object" || value === null) return undefined;
  if (depth === 0) return `must nest at most ${MAX_JSON_DEPTH} deep`;
  for (const [key, inner] of Object.entries(value)) {
    if (key === "__proto__") return "must not have a key __proto__";
    const complaint = complaintAbout(key, depth) ?? complaintAbout(inner, depth - 1);
    if (complaint !== undefined) return complaint;
  }
  return undefined;
}

function complaintAboutSize(value: JsonObject): string | undefined {
  if (Object.keys(value).length > MAX_JSON_KEYS) return `must have at most ${MAX_JSON_KEYS} entries`;
  if (JSON.stringify(value).length > MAX_JSON_LENGTH) return `must be at most ${MAX_JSON_LENGTH} characters of JSON`;
  return undefined;
}

/** Hosts that plain http may name: this machine and Services of the cluster, whose traffic never leaves it. */
const HTTP_HOST = String.raw`localhost|127(?:[.][0-9]{1,3}){3}|\[::1\]|(?:[a-z0-9-]+[.])+svc(?:[.]cluster[.]local)?`;
const HTTPS_HOST = String.raw`[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?|\[[0-9A-Fa-f:.]+\]`;
/**
 * One expression instead of CEL's `url()` and JavaScript's `URL`, which read borderline URLs differently: what one of
 * them takes for a host must not be a user name for the other. A backslash, which browsers read as a slash, is out.
 */
const URL_PATTERN = new RegExp(
  `^(?:https://(?:${HTTPS_HOST})|http://(?:${HTTP_HOST}))(?::[0-9]{1,5})?(?:[/?][!$%&'()*+,./0-9:;=?@A-Z_a-z~-]*)?$`,
);

/** URL of a provider's endpoint: no user name, no fragment, ASCII only. */
export function endpointUrl(description: string) {
  return withRules(
    z.string().max(2_048),
    matches(
      URL_PATTERN,
      "must be an https:// URL without user name, fragment and blanks; http:// only for localhost and for Services of the cluster (name.namespace.svc)",
    ),
  ).describe(description);
}

/** Names of tags, in lower case because the API finds tags regardless of case. */
const TAG_NAME = {
  max: 64,
  pattern: /^[a-z][a-z0-9_./-]*$/,
  allowed: "lower-case letters, digits, '_', '.', '/' and '-' that begin with a letter",
};

/** Tags of a connection. */
export const tagMap = textMap(64, TAG_NAME, line(255));

/** Tags that select connections. Few: an Environment has up to 64 of these, and all of it has to fit into etcd. */
export const tagSelector = textMap(4, TAG_NAME, line(255));
