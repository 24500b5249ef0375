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

/** The parsed query. @throws `invalid_query_params` with an entry for each thing that is wrong. */
export function parseQuery<T>(schema: z.ZodType<T>, query: unknown): T {
  const result = schema.safeParse(query);
  if (result.success) return result.data;
  throw invalidRequest("invalid_query_params", result.error);
}

/** The parsed part of the path. @throws `invalid_uri_params` */
export function parsePath<T>(schema: z.ZodType<T>, params: unknown): T {
  const result = schema.safeParse(params);
  if (result.success) return result.data;
  throw invalidRequest("invalid_uri_params", result.error);
}
