import { KeysteadError } from "../errors.ts";

/** What placeholders stand for: the parsed objects that were stored. */
export interface TemplateValues {
  readonly config: unknown;
  readonly credentials: unknown;
}

const PLACEHOLDER = /\$\{(config|connectionConfig|credentials)((?:\.[A-Za-z0-9_-]+)+)\}/g;

/** RFC 1035 section 2.3.1, in what a value may be within a host: no dot, so that it never leaves its label. */
const LABEL = /^[A-Za-z0-9-]{1,63}$/;

/** What a header may hold (RFC 9110 section 5.5). Node sends it as Latin-1. */
const HEADER_VALUE = /^[\t\x20-\x7e\x80-\xff]*$/;

/**
 * The text with every placeholder replaced. No message ever repeats a value: it may be the credential.
 *
 * @throws `proxy_template_unresolved` for one that stands for nothing, or for an object
 */
export function fill(
  template: string,
  values: TemplateValues,
  encode: (value: string, name: string) => string,
): string {
  return template.replace(PLACEHOLDER, (_match, word: string, path: string) => {
    // Templates of Nango say connectionConfig.
    const root = word === "credentials" ? "credentials" : "config";
    const name = `${root}${path}`;
    return encode(valueAt(values[root], path.slice(1).split("."), name), name);
  });
}

/** @throws `proxy_template_unresolved` for a value that is more than a part of a label */
export function asHostPart(value: string, name: string): string {
  if (LABEL.test(value)) return value;
  throw unresolved(`${name} is part of a host name, so it must be 1 to 63 letters, digits and hyphens`);
}

/** Percent-encoded, slashes included. */
export function asUrlPart(value: string): string {
  // A lone surrogate, which has no encoding, becomes U+FFFD.
  return encodeURIComponent(value.toWellFormed());
}

/** @throws `proxy_template_unresolved` for a value that could end the header, or that one cannot hold */
export function asHeaderPart(value: string, name: string): string {
  if (HEADER_VALUE.test(value)) return value;
  throw unresolved(`${name} has a character that a header cannot have`);
}

/** The error for an integration whose template does not fit this connection. */
export function unresolved(why: string): KeysteadError {
  return new KeysteadError("proxy_template_unresolved", `spec.proxy of the integration cannot be filled in: ${why}.`);
}

function valueAt(root: unknown, path: readonly string[], name: string): string {
  let value = root;
  for (const step of path) {
    const isObject = typeof value === "object" && value !== null && Object.hasOwn(value, step);
    value = isObject ? Reflect.get(Object(value), step) : undefined;
  }
  if (typeof value === "string") return value;
  if (typeof value === "number" || typeof value === "boolean") return String(value);
  throw unresolved(value === undefined ? `the connection has no ${name}` : `${name} is not a text`);
}
