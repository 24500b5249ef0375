import { z } from "zod";
import { KeysteadError } from "../errors.ts";
import type { ConnectionFilters } from "../vault/connection-filters.ts";
import type { Vault } from "../vault/context.ts";
import { listConnections } from "../vault/list-connections.ts";
import { type DeletedPlace, listDeletedConnections } from "../vault/list-deleted-connections.ts";
import { readConnection } from "../vault/read-connection.ts";
import { connectionList, fullConnection } from "./answer-schemas.ts";
import { refusedKey } from "./authentication.ts";
import { connectionAnswer, deletedConnectionAnswer, simpleConnectionAnswer } from "./connection-answer.ts";
import { cursor } from "./cursor.ts";
import { listAnswer } from "./list-answer.ts";
import { connectionId, flag, integrationKey, noBody, noPath, wholeNumber } from "./request-schemas.ts";
import { type Answer, type Caller, defineRoute, type Route } from "./route.ts";

/** Connections of a list when the caller names no limit, and the most a caller may name (both of the contract). */
const DEFAULT_LIMIT = 10_000;
const MAX_LIMIT = 2_000;

/** Pages are counted from 0; beyond this no list of ours has a page, and the offset stays an exact number. */
const MAX_PAGE = 1_000_000;

/** Integrations that one list may name, and tags it may ask for. */
const MAX_INTEGRATIONS = 100;
const MAX_TAGS = 10;

const readQuery = z.strictObject({
  provider_config_key: integrationKey,
  // Nothing is renewed yet, so both ask for what is stored.
  force_refresh: flag,
  refresh_github_app_jwt_token: flag,
  refresh_token: flag,
});

/** Of a living connection its row id, of a deleted one the instant before it. */
const place = z.union([
  z.tuple([z.uuid()]).transform(([id]) => ({ id, deletedAt: undefined })),
  z
    .tuple([z.uuid(), z.string().regex(/^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(\.\d{1,6})?[+-]\d\d(:\d\d)?$/)])
    .transform(([id, deletedAt]) => ({ id, deletedAt })),
]);

const listQuery = z
  .strictObject({
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
    deleted: flag,
    limit: wholeNumber(1, MAX_LIMIT).default(DEFAULT_LIMIT),
    page: wholeNumber(0, MAX_PAGE).default(0),
    cursor: cursor(place).optional(),
  })
  .refine((query) => query.cursor === undefined || query.page === 0, {
    path: ["cursor"],
    message: "cannot be combined with page",
  })
  .refine((query) => query.cursor === undefined || (query.cursor.deletedAt !== undefined) === query.deleted, {
    path: ["cursor"],
    message: "is none that this list gave",
  });

const list = defineRoute({
  method: "GET",
  paths: ["/connections", "/connection"],
  summary: "Connections without their credentials, newest first; deleted=true: those that can be restored",
  scopes: ["connections:list"],
  path: noPath,
  query: listQuery,
  body: noBody,
  status: 200,
  answer: connectionList,
  async handle({ query: { integrationId, deleted, ...rest } }, caller, { vault }) {
    const query = { ...rest, integrationIds: integrationId };
    return deleted ? listDeleted(vault, caller, query) : listLiving(vault, caller, query);
  },
});

interface ListQuery extends ConnectionFilters {
  readonly limit: number;
  readonly page: number;
  readonly cursor?: { readonly id: string; readonly deletedAt: string | undefined } | undefined;
}

function listLiving(
  vault: Vault,
  caller: Caller,
  { cursor: from, page, limit, ...filters }: ListQuery,
): Promise<Answer> {
  return listAnswer({
    name: "connections",
    limit,
    async read(after, size) {
      const offset = after ? 0 : page * limit;
      const options = { ...caller, ...filters, after: after?.id ?? from?.id, limit: size, offset };
      const result = await listConnections(vault, options);
      if (result.kind === "unknown_key" || result.kind === "forbidden") throw refusedKey(result);
      return result.connections;
    },
    print: simpleConnectionAnswer,
    placeOf: ({ id }) => [id],
  });
}

function listDeleted(
  vault: Vault,
  caller: Caller,
  { cursor: from, page, limit, ...filters }: ListQuery,
): Promise<Answer> {
  const begin: DeletedPlace | undefined =
    from?.deletedAt === undefined ? undefined : { id: from.id, deletedAt: from.deletedAt };
  return listAnswer({
    name: "connections",
    limit,
    async read(after, size) {
      const offset = after ? 0 : page * limit;
      const options = { ...caller, ...filters, after: after?.place ?? begin, limit: size, offset };
      const result = await listDeletedConnections(vault, options);
      if (result.kind === "unknown_key" || result.kind === "forbidden") throw refusedKey(result);
      return result.connections;
    },
    print: deletedConnectionAnswer,
    placeOf: ({ place: { id, deletedAt } }) => [id, deletedAt],
  });
}

const read = defineRoute({
  method: "GET",
  paths: ["/connections/:connectionId", "/connection/:connectionId"],
  summary: "One connection with its credentials",
  scopes: ["connections:read", "connections:read_credentials"],
  path: z.object({ connectionId }),
  query: readQuery,
  body: noBody,
  status: 200,
  answer: fullConnection,
  async handle({ path: { connectionId: id }, query }, caller, { vault }) {
    const result = await readConnection(vault, {
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
        throw new KeysteadError(
          "unknown_provider_config",
          `The environment has no integration ${JSON.stringify(query.provider_config_key)}.`,
        );
      case "not_found":
        throw new KeysteadError("not_found", `The integration has no connection with the id ${JSON.stringify(id)}.`);
      case "found":
        return connectionAnswer(result.connection, { refreshToken: query.refresh_token });
    }
  },
});

/** Reads of connections, with the aliases of the singular. */
export const connectionRoutes: readonly Route[] = [list, read];
