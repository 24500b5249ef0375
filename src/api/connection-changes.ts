import { randomUUID } from "node:crypto";
import { z } from "zod";
import { changeConnection } from "../vault/change-connection.ts";
import { putConnection } from "../vault/put-connection.ts";
import { purgeConnection, removeConnection } from "../vault/remove-connection.ts";
import { restoreOverApi } from "../vault/restore-over-api.ts";
import { fullConnection, success } from "./answer-schemas.ts";
import { connectionAnswer } from "./connection-answer.ts";
import { connectionPatch, desiredCredentials, endUserOf, newConnection } from "./connection-bodies.ts";
import { connectionId, flag, integrationKey, noBody, noPath, noQuery, wholeNumber } from "./request-schemas.ts";
import { defineRoute, type Route } from "./route.ts";

const path = z.object({ connectionId });

/** `id` of a connection in a list. */
const incarnation = wholeNumber(1, Number.MAX_SAFE_INTEGER).optional();

const create = defineRoute({
  method: "POST",
  paths: ["/connections", "/connection"],
  summary: "Stores a connection; one that has the id is overwritten, and what is left out of it stays",
  scopes: ["connections:create"],
  path: noPath,
  query: noQuery,
  body: newConnection,
  status: 201,
  answer: fullConnection,
  async handle({ body }, caller, { vault }) {
    const stored = await putConnection(vault, caller, {
      providerConfigKey: body.provider_config_key,
      connectionId: body.connection_id ?? randomUUID(),
      credentials: desiredCredentials(body.credentials),
      config: body.connection_config,
      metadata: body.metadata,
      tags: body.tags,
      endUser: endUserOf(body.end_user),
    });
    return connectionAnswer(stored, { refreshToken: false, printInstant: (date) => date.toISOString() });
  },
});

const change = defineRoute({
  method: "PATCH",
  paths: ["/connections/:connectionId", "/connection/:connectionId"],
  summary: "Changes end user and tags; tags are replaced as a whole",
  scopes: ["connections:update"],
  path,
  query: z.strictObject({ provider_config_key: integrationKey }),
  body: connectionPatch,
  status: 200,
  answer: success,
  async handle({ path: { connectionId: id }, query, body }, caller, { vault }) {
    const endUser = endUserOf(body.end_user);
    const name = { providerConfigKey: query.provider_config_key, connectionId: id };
    await changeConnection(vault, caller, { ...name, tags: body.tags, endUser });
    return JSON.stringify({ success: true });
  },
});

const remove = defineRoute({
  method: "DELETE",
  paths: ["/connections/:connectionId", "/connection/:connectionId"],
  summary: "Deletes a connection; purge=true erases it for good, one that was deleted before too",
  scopes: ["connections:delete"],
  path,
  query: z
    .strictObject({ provider_config_key: integrationKey, purge: flag, id: incarnation })
    .refine((query) => query.id === undefined || query.purge, { path: ["id"], message: "goes with purge=true only" }),
  body: noBody,
  status: 200,
  answer: success,
  async handle({ path: { connectionId: id }, query }, caller, { vault }) {
    const name = { providerConfigKey: query.provider_config_key, connectionId: id };
    if (query.purge) await purgeConnection(vault, caller, { ...name, numericId: query.id });
    else await removeConnection(vault, caller, name);
    return JSON.stringify({ success: true });
  },
});

const restore = defineRoute({
  method: "POST",
  paths: ["/connections/:connectionId/restore"],
  summary: "Brings a deleted connection back",
  scopes: ["connections:create"],
  path,
  query: z.strictObject({ provider_config_key: integrationKey, id: incarnation }),
  body: noBody,
  status: 200,
  answer: success,
  async handle({ path: { connectionId: id }, query }, caller, { vault }) {
    const name = { providerConfigKey: query.provider_config_key, connectionId: id };
    await restoreOverApi(vault, caller, { ...name, numericId: query.id });
    return JSON.stringify({ success: true });
  },
});

/** Changes of connections that no resource manages. */
export const connectionChangeRoutes: readonly Route[] = [create, change, remove, restore];
