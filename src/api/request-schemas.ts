import { z } from "zod";
import { invalidRequest } from "./error-answer.ts";

// Parts of requests that several routes share. Limits and characters are those of Nango's contract, so that ids which
// exist there exist here; everything is strict, so that a misspelt filter is an error and not a longer list.

/** Id of a connection, chosen by the application: up to 255 characters, slashes and quotes included. */
export const connectionId = z
  .string()
  .min(1)
  .max(255)
  .regex(/^[A-Za-z0-9,.;:=+~[\]|@${}"'\\/_ -]+$/, "has a character that a connection id cannot have");

/** `unique_key` of an integration, called `provider_config_key` in requests about connections. */
export const integrationKey = z
  .string()
  .min(1)
  .max(255)
  .regex(/^[A-Za-z0-9~:.@ _-]+$/, "has a character that an integration key cannot have");

/** A flag of the query: absent means false. Other spellings of yes are refused, since one that is not understood would pass as no. */
export const flag = z
  .enum(["true", "false"], "must be true or false")
  .optional()
  .transform((text) => text === "true");

/** A whole number of the query. */
export function wholeNumber(minimum: number, maximum: number) {
  return z
    .string()
    .regex(/^\d{1,15}$/, "must be a whole number")
    .transform(Number)
    .refine((value) => value >= minimum && value <= maximum, `must be from ${minimum} to ${maximum}`);
}

/** Of a route whose path has no variable part. */
export const noPath = z.object({});
/** Of a route that takes no query parameters. */
export const noQuery = z.strictObject({});
/** Of a route that takes no body; clients of the contract name a type for it all the same. */
export const noBody = z.undefined("must be left out");

/** The parsed query. @throws `invalid_query_params` with an entry for each thing that is wrong. */
export function parseQuery<T>(schema: z.ZodType<T>, query: unknown): T {
  const result = schema.safeParse(withTags(query));
  if (result.success) return result.data;
  throw invalidRequest("invalid_query_params", result.error);
}

/** The parsed part of the path. @throws `invalid_uri_params` */
export function parsePath<T>(schema: z.ZodType<T>, params: unknown): T {
  const result = schema.safeParse(params);
  if (result.success) return result.data;
  throw invalidRequest("invalid_uri_params", result.error);
}

/** The parsed headers, of which there are always others too. @throws `invalid_headers` */
export function parseHeaders<T>(schema: z.ZodType<T>, headers: unknown): T {
  const result = schema.safeParse(headers);
  if (result.success) return result.data;
  throw invalidRequest("invalid_headers", result.error);
}

/** The parsed body. @throws `invalid_body` */
export function parseBody<T>(schema: z.ZodType<T>, body: unknown): T {
  const result = schema.safeParse(body);
  if (result.success) return result.data;
  throw invalidRequest("invalid_body", result.error);
}

/** `tags[team]=sales&tags[tier]=1` as one member `tags`. A key it does not recognise stays, and is refused by name. */
function withTags(query: unknown): unknown {
  const entries = Object.entries(query ?? {});
  const tags = entries.flatMap(([key, value]) => {
    const tag = tagOf(key);
    return tag === undefined ? [] : [[tag, value] as const];
  });
  if (tags.length === 0) return query;
  const others = entries.filter(([key]) => tagOf(key) === undefined);
  return { ...Object.fromEntries(others), tags: Object.fromEntries(tags) };
}

function tagOf(key: string): string | undefined {
  const tag = /^tags\[([^[\]]+)\]$/.exec(key)?.[1];
  // The schema would skip this one silently, and the list would be longer than asked for.
  return tag === "__proto__" ? undefined : tag;
}
