import { z } from "zod";
import { KeysteadError } from "../errors.ts";
import { listIntegrations } from "../vault/list-integrations.ts";
import { readIntegration } from "../vault/read-integration.ts";
import type { Vault } from "../vault/context.ts";
import { refusedKey } from "./authentication.ts";
import { integration, integrationWithMore, legacyIntegration } from "./answer-schemas.ts";
import { integrationAnswer, integrationsAnswer, legacyIntegrationAnswer } from "./integration-answer.ts";
import { flag, integrationKey, noBody, noPath, noQuery } from "./request-schemas.ts";
import { defineRoute, type Caller, type Route } from "./route.ts";

const includable = z.enum(["webhook", "credentials"], "must be webhook or credentials");

const readQuery = z.strictObject({
  include: includable
    .or(z.array(includable).max(2))
    .optional()
    .transform((include) => new Set(include === undefined ? [] : [include].flat())),
});

const path = z.object({ uniqueKey: integrationKey });

const list = defineRoute({
  method: "GET",
  paths: ["/integrations"],
  summary: "All integrations of the environment, by name",
  scopes: ["integrations:list"],
  path: noPath,
  query: noQuery,
  body: noBody,
  status: 200,
  answer: z.strictObject({ data: z.array(integration) }),
  async handle(_request, caller, { vault }) {
    const result = await listIntegrations(vault, caller);
    if (result.kind === "unknown_key" || result.kind === "forbidden") throw refusedKey(result);
    return integrationsAnswer(result.integrations);
  },
});

const read = defineRoute({
  method: "GET",
  paths: ["/integrations/:uniqueKey"],
  summary: "One integration; include=credentials adds its OAuth client or app",
  scopes: ["integrations:read", "integrations:read_credentials"],
  path,
  query: readQuery,
  body: noBody,
  status: 200,
  answer: z.strictObject({ data: integrationWithMore }),
  async handle({ path: { uniqueKey }, query: { include } }, caller, { vault }) {
    return integrationAnswer(await readOne(vault, caller, uniqueKey, include.has("credentials")), include);
  },
});

const readLegacy = defineRoute({
  method: "GET",
  paths: ["/config/:uniqueKey"],
  summary: "Deprecated: one integration in the older shape",
  scopes: ["integrations:read", "integrations:read_credentials"],
  path,
  query: z.strictObject({ include_creds: flag }),
  body: noBody,
  status: 200,
  answer: z.strictObject({ config: legacyIntegration }),
  async handle({ path: { uniqueKey }, query: { include_creds: withClient } }, caller, { vault }) {
    return legacyIntegrationAnswer(await readOne(vault, caller, uniqueKey, withClient), withClient);
  },
});

/** Integrations of the environment. */
export const integrationRoutes: readonly Route[] = [list, read, readLegacy];

async function readOne(vault: Vault, caller: Caller, uniqueKey: string, withClient: boolean) {
  const result = await readIntegration(vault, { ...caller, uniqueKey, withClient });
  if (result.kind === "unknown_key" || result.kind === "forbidden") throw refusedKey(result);
  if (result.kind === "not_found") {
    throw new KeysteadError("not_found", `The environment has no integration ${JSON.stringify(uniqueKey)}.`);
  }
  return result.integration;
}
