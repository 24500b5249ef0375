import type { FastifyInstance } from "fastify";
import { asKeysteadError, KeysteadError } from "../errors.ts";

/** Objects and lists inside one another. Bodies of the contract have four; a connection's metadata may have 16 (resources/field.ts). */
const MAX_DEPTH = 32;

/** An object or a list that is open at some place of the text. */
interface Open {
  /** Undefined for a list. */
  readonly names: Set<string> | undefined;
}

/**
 * The value of a JSON body. What is JSON by the grammar and a trap all the same is refused, each by a message that names it:
 * nesting without end; a member that comes twice, of which two readers may take different ones (RFC 8259 section 4); and
 * `__proto__`, which in JavaScript is no member like any other.
 *
 * @throws `invalid_json`, whose message repeats nothing of the body
 */
export function parseJsonBody(body: Buffer | string): unknown {
  const text = typeof body === "string" ? body : decoded(body);
  refuseTraps(text);
  try {
    const value: unknown = JSON.parse(text);
    return value;
  } catch {
    // The engine's own message quotes the text, which may hold a secret.
    throw refused("is not valid JSON");
  }
}

/** JSON has one character set (RFC 8259 section 8.1); some clients name it. */
const CHARSET = /;\s*charset\s*=\s*"?([^";\s]+)/i;

/**
 * Takes bodies of JSON and no others. An empty one is none, even where a type is named, as clients of the contract do:
 * whether a route needs one is for its schema to say.
 */
export function takeJsonBodies(app: FastifyInstance): void {
  app.removeAllContentTypeParsers();
  app.addContentTypeParser("application/json", { parseAs: "buffer" }, (request, body, done) => {
    const charset = CHARSET.exec(request.headers["content-type"] ?? "")?.[1] ?? "utf-8";
    try {
      if (!/^utf-?8$/i.test(charset)) throw otherCharset();
      done(null, body.length === 0 ? undefined : parseJsonBody(body));
    } catch (thrown) {
      done(asKeysteadError(thrown));
    }
  });
}

function otherCharset(): KeysteadError {
  return new KeysteadError("invalid_content_type", "The body of the request has to be JSON in UTF-8.");
}

/** Bytes that are no UTF-8 would become other characters, and a password with them another one. */
function decoded(body: Buffer): string {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(body);
  } catch {
    throw refused("is not UTF-8");
  }
}

/**
 * Everything that matters here: strings, and what opens and closes. What stands between is for the parser to judge. A string
 * that does not end is one to the end of the text: looking for its end from each quote in it would take minutes for 1 MiB.
 */
const TOKEN = /"(?:[^"\\]|\\.?)*"?|[[\]{}]/gs;

/** One pass along the text, without recursion: the engine's own would keep the last of two equal members silently. */
function refuseTraps(text: string): void {
  const open: Open[] = [];
  for (const { 0: token, index } of text.matchAll(TOKEN)) {
    switch (token) {
      case "{":
      case "[":
        if (open.length === MAX_DEPTH) throw refused(`is nested more than ${MAX_DEPTH} deep`);
        open.push({ names: token === "{" ? new Set() : undefined });
        break;
      case "}":
      case "]":
        open.pop();
        break;
      default: {
        const names = open.at(-1)?.names;
        if (names && isName(text, index + token.length)) addName(names, token);
      }
    }
  }
}

/** Whether the string that ends there is the name of a member. */
function isName(text: string, end: number): boolean {
  let next = end;
  while (next < text.length && " \t\n\r".includes(text.charAt(next))) next += 1;
  return text.charAt(next) === ":";
}

function addName(names: Set<string>, token: string): void {
  const name = token.includes("\\") ? unescaped(token) : token.slice(1, -1);
  if (name === "__proto__") throw refused("has a member __proto__");
  if (names.has(name)) throw refused("has a member twice");
  names.add(name);
}

/** A name that is no string of JSON is left for the parser to refuse. */
function unescaped(token: string): string {
  try {
    return String(JSON.parse(token));
  } catch {
    return token;
  }
}

function refused(what: string): KeysteadError {
  return new KeysteadError("invalid_json", `The body of the request ${what}.`);
}
