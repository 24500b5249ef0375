import type { FastifyInstance } from "fastify";
import { z } from "zod";
import { KeysteadError } from "../errors.ts";
import { listConnections } from "../vault/list-connections.ts";
import { readConnection } from "../vault/read-connection.ts";
import { refusedKey } from "./authentication.ts";
import { connectionAnswer, connectionsAnswer } from "./connection-answer.ts";
import { connectionId, flag, integrationKey, parsePath, parseQuery } from "./request-schemas.ts";
import { serveRead, type RouteDeps } from "./route.ts";

/** Connections of a list when the caller names no limit, and the most a caller may name (both of the contract). */
const DEFAULT_LIMIT = 10_000;
const MAX_LIMIT = 2_000;

/** Pages are counted from 0; beyond this no list of ours has a page, and the offset stays an exact number. */
const MAX_PAGE = 1_000_000;

/** Integrations that one list may name, and tags it may ask for. */
const MAX_INTEGRATIONS = 100;
const MAX_TAGS = 10;

const wholeNumber = (minimum: number, maximum: number) =>
  z
    .string()
    .regex(/^\d{1,7}$/, "must be a whole number")
    .transform(Number)
    .refine((value) => value >= minimum && value <= maximum, `must be from ${minimum} to ${maximum}`);

const readQuery = z.strictObject({
  provider_config_key: integrationKey,
  // Nothing is renewed yet, so both ask for what is stored.
  force_refresh: flag,
  refresh_github_app_jwt_token: flag,
  refresh_token: flag,
});

const listQuery = z.strictObject({
  connectionId: connectionId.optional(),
  search: z.string().min(1).max(255).optional(),
  endUserId: z.string().min(1).max(255).optional(),
  endUserOrganizationId: z.string().min(1).max(255).optional(),
  integrationId: z
    .string()
    .transform((text) => text.split(","))
    .pipe(z.array(integrationKey).max(MAX_INTEGRATIONS))
    .optional(),
  tags: z
    .record(z.string().min(1).max(64), z.string().max(255))
    .refine((tags) => Object.keys(tags).length <= MAX_TAGS, `holds more than ${MAX_TAGS} tags`)
    .optional(),
  limit: wholeNumber(1, MAX_LIMIT).default(DEFAULT_LIMIT),
  page: wholeNumber(0, MAX_PAGE).default(0),
});

const readPath = z.object({ connectionId });

/** `GET /connections` and `GET /connections/:connectionId`, with the aliases of the singular. */
export function serveConnections(app: FastifyInstance, deps: RouteDeps): void {
  serveRead(app, deps, ["/connections/:connectionId", "/connection/:connectionId"], async (request, caller) => {
    const { connectionId: id } = parsePath(readPath, request.params);
    const query = parseQuery(readQuery, request.query);
    const result = await readConnection(deps.vault, {
      ...caller,
      providerConfigKey: query.provider_config_key,
      connectionId: id,
      needsCredentials: query.refresh_token || query.force_refresh || query.refresh_github_app_jwt_token,
    });
    switch (result.kind) {
      case "unknown_key":
      case "forbidden":
        throw refusedKey(result);
      case "unknown_integration":
        throw unknownIntegration(query.provider_config_key);
      case "not_found":
        throw new KeysteadError("not_found", `The integration has no connection with the id ${JSON.stringify(id)}.`);
      case "found":
        return connectionAnswer(result.connection, { refreshToken: query.refresh_token });
    }
  });

  serveRead(app, deps, ["/connections", "/connection"], async (request, caller) => {
    const query = parseQuery(listQuery, withTags(request.query));
    const { limit, page, integrationId, ...filters } = query;
    const result = await listConnections(deps.vault, {
      ...caller,
      ...filters,
      integrationIds: integrationId,
      limit,
      offset: page * limit,
    });
    if (result.kind === "unknown_key" || result.kind === "forbidden") throw refusedKey(result);
    return connectionsAnswer(result.connections);
  });
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

function unknownIntegration(key: string): KeysteadError {
  return new KeysteadError("unknown_provider_config", `The environment has no integration ${JSON.stringify(key)}.`);
}
