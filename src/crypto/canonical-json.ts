import { KeysteadError } from "../errors.ts";

/** What JSON can hold. A member that is `undefined` counts as absent, as in `JSON.stringify`. */
export type JsonValue =
  | null
  | boolean
  | number
  | string
  | readonly JsonValue[]
  | { readonly [member: string]: JsonValue | undefined };

/** A JSON object. */
export type JsonObject = { readonly [member: string]: JsonValue | undefined };

/** Deeper than any manifest that an API server stores, and far from the end of the stack. */
const MAXIMUM_DEPTH = 100;

/**
 * One text for all spellings of one JSON value: members sorted by UTF-16 code units, no white space, numbers and
 * strings as ECMAScript writes them (the scheme of RFC 8785).
 *
 * Throws `json_not_canonical` for everything that is not plain JSON. That matters most for a `Secret`: it turns into
 * the same redacted text whatever it holds, so digests over it would call every change "unchanged".
 */
export function canonicalJson(value: unknown): string {
  return write(value, 0);
}

function write(value: unknown, depth: number): string {
  if (depth > MAXIMUM_DEPTH) throw notCanonical(`nesting deeper than ${MAXIMUM_DEPTH} levels`);
  if (value === null || typeof value === "boolean" || typeof value === "string") return JSON.stringify(value);
  if (typeof value === "number") {
    if (!Number.isFinite(value)) throw notCanonical("a number that is not finite");
    return JSON.stringify(value);
  }
  if (Array.isArray(value)) return `[${value.map((item) => write(item, depth + 1)).join(",")}]`;
  if (typeof value === "object") return writeObject(value, depth);
  throw notCanonical(`a value of type ${typeof value}`);
}

function writeObject(value: object, depth: number): string {
  const prototype: unknown = Object.getPrototypeOf(value);
  if (prototype !== Object.prototype && prototype !== null) {
    throw notCanonical(`an instance of ${value.constructor.name}`);
  }
  const members: [string, unknown][] = Object.entries(value);
  const parts = members
    .filter(([, member]) => member !== undefined)
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, member]) => `${JSON.stringify(name)}:${write(member, depth + 1)}`);
  return `{${parts.join(",")}}`;
}

function notCanonical(what: string): KeysteadError {
  return new KeysteadError("json_not_canonical", `${what} has no canonical JSON form`);
}
