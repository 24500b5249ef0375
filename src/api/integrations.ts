import type { FastifyInstance } from "fastify";
import { z } from "zod";
import { KeysteadError } from "../errors.ts";
import { listIntegrations } from "../vault/list-integrations.ts";
import { readIntegration } from "../vault/read-integration.ts";
import { refusedKey } from "./authentication.ts";
import { integrationAnswer, integrationsAnswer, legacyIntegrationAnswer } from "./integration-answer.ts";
import { flag, integrationKey, parsePath, parseQuery } from "./request-schemas.ts";
import type { Caller } from "./gate.ts";
import { serveRead, type RouteDeps } from "./route.ts";

const noQuery = z.strictObject({});

const readQuery = z.strictObject({
  include: z
    .enum(["webhook", "credentials"], "must be webhook or credentials")
    .or(z.array(z.enum(["webhook", "credentials"])).max(2))
    .optional()
    .transform((include) => new Set(include === undefined ? [] : [include].flat())),
});

const legacyQuery = z.strictObject({ include_creds: flag });
const path = z.object({ uniqueKey: integrationKey });

/** `GET /integrations`, `GET /integrations/:uniqueKey`, and the deprecated `GET /config/:uniqueKey` in its own shape. */
export function serveIntegrations(app: FastifyInstance, deps: RouteDeps): void {
  const one = async (params: unknown, caller: Caller, withClient: boolean) => {
    const { uniqueKey } = parsePath(path, params);
    const result = await readIntegration(deps.vault, { ...caller, uniqueKey, withClient });
    if (result.kind === "unknown_key" || result.kind === "forbidden") throw refusedKey(result);
    if (result.kind === "not_found") {
      throw new KeysteadError("not_found", `The environment has no integration ${JSON.stringify(uniqueKey)}.`);
    }
    return result.integration;
  };

  serveRead(app, deps, ["/integrations"], async (request, caller) => {
    parseQuery(noQuery, request.query);
    const result = await listIntegrations(deps.vault, caller);
    if (result.kind === "unknown_key" || result.kind === "forbidden") throw refusedKey(result);
    return integrationsAnswer(result.integrations);
  });

  serveRead(app, deps, ["/integrations/:uniqueKey"], async (request, caller) => {
    const { include } = parseQuery(readQuery, request.query);
    return integrationAnswer(await one(request.params, caller, include.has("credentials")), include);
  });

  serveRead(app, deps, ["/config/:uniqueKey"], async (request, caller) => {
    const { include_creds: withClient } = parseQuery(legacyQuery, request.query);
    return legacyIntegrationAnswer(await one(request.params, caller, withClient), withClient);
  });
}
