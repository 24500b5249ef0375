import { z } from "zod";
import { changeMetadata } from "../vault/change-metadata.ts";
import { metadataChange } from "./connection-bodies.ts";
import { jsonObject } from "./json.ts";
import { connectionId, integrationKey, noPath, noQuery, parseHeaders } from "./request-schemas.ts";
import { defineRoute, type Route } from "./route.ts";

const headers = z.object({ "provider-config-key": integrationKey });

/** `POST` replaces, `PATCH` merges. */
const METHODS = [
  {
    method: "POST",
    status: 201,
    merges: false,
    summary: "Replaces the metadata of connections, of all that are named or none",
  },
  { method: "PATCH", status: 200, merges: true, summary: "Sets members of the metadata of connections; others stay" },
] as const;

const changes = METHODS.map(({ method, status, merges, summary }) =>
  defineRoute({
    method,
    paths: ["/connections/metadata", "/connection/metadata"],
    summary,
    scopes: ["connections:update"],
    path: noPath,
    query: noQuery,
    body: metadataChange,
    status,
    answer: metadataChange,
    async handle({ body }, caller, { vault }) {
      await changeMetadata(vault, caller, {
        providerConfigKey: body.provider_config_key,
        connectionIds: [body.connection_id].flat(),
        metadata: body.metadata,
        merges,
      });
      return JSON.stringify(body);
    },
  }),
);

const legacy = METHODS.map(({ method, status, merges }) =>
  defineRoute({
    method,
    paths: ["/connection/:connectionId/metadata"],
    summary: "Deprecated: the metadata of one connection, whose integration the header Provider-Config-Key names",
    scopes: ["connections:update"],
    path: z.object({ connectionId }),
    query: noQuery,
    headers,
    body: jsonObject,
    status,
    answer: jsonObject,
    async handle({ path: { connectionId: id }, body, headers: sent }, caller, { vault }) {
      const { "provider-config-key": providerConfigKey } = parseHeaders(headers, sent);
      await changeMetadata(vault, caller, { providerConfigKey, connectionIds: [id], metadata: body, merges });
      return JSON.stringify(body);
    },
  }),
);

/** Changes of metadata, which belongs to applications wherever no resource declares it. */
export const metadataRoutes: readonly Route[] = [...changes, ...legacy];
