import { z } from "zod";
import { findProvider } from "../oauth/catalogue.ts";
import { declaredOrigins } from "../resources/proxy.ts";
import { addIntegration } from "../vault/add-integration.ts";
import { changeIntegration } from "../vault/change-integration.ts";
import { removeIntegration } from "../vault/remove-integration.ts";
import { restoreIntegrationOverApi } from "../vault/restore-integration-over-api.ts";
import { integration, success } from "./answer-schemas.ts";
import { refusedPart } from "./error-answer.ts";
import { integrationSummaryAnswer } from "./integration-answer.ts";
import { integrationPatch, newIntegration, quickIntegration } from "./integration-bodies.ts";
import { integrationKey, noBody, noPath, noQuery } from "./request-schemas.ts";
import { type Caller, defineRoute, type Route, type RouteDeps } from "./route.ts";

const path = z.object({ uniqueKey: integrationKey });
const answer = z.strictObject({ data: integration });

const create = defineRoute({
  method: "POST",
  paths: ["/integrations"],
  summary: "Adds an integration",
  scopes: ["integrations:create"],
  path: noPath,
  query: noQuery,
  body: newIntegration,
  status: 200,
  answer,
  handle: ({ body }, caller, deps) => add(body, caller, deps),
});

const quickstart = defineRoute({
  method: "POST",
  paths: ["/integrations/quickstart"],
  summary: "Adds an integration of a provider that needs no OAuth client or app",
  scopes: ["integrations:create"],
  path: noPath,
  query: noQuery,
  body: quickIntegration,
  status: 200,
  answer,
  handle: ({ body }, caller, deps) => add(body, caller, deps),
});

async function add(body: z.output<typeof newIntegration>, caller: Caller, { vault }: RouteDeps): Promise<string> {
  const provider = findProvider(body.provider);
  if (!provider) {
    const message = "is none of the providers that GET /providers lists";
    throw refusedPart("invalid_body", [{ code: "custom", message, path: ["provider"] }]);
  }
  const added = await addIntegration(vault, caller, {
    uniqueKey: body.unique_key,
    provider: provider.name,
    auth: provider.auth,
    proxy: provider.proxy,
    acceptedOrigins: declaredOrigins(provider),
    displayName: body.display_name,
    client: body.credentials,
  });
  return integrationSummaryAnswer(added);
}

const change = defineRoute({
  method: "PATCH",
  paths: ["/integrations/:uniqueKey"],
  summary: "Changes an integration",
  scopes: ["integrations:update"],
  path,
  query: noQuery,
  body: integrationPatch,
  status: 200,
  answer,
  async handle({ path: { uniqueKey }, body }, caller, { vault }) {
    const changed = await changeIntegration(vault, caller, {
      uniqueKey,
      newUniqueKey: body.unique_key,
      displayName: body.display_name,
      client: body.credentials,
    });
    return integrationSummaryAnswer(changed);
  },
});

const remove = defineRoute({
  method: "DELETE",
  paths: ["/integrations/:uniqueKey"],
  summary: "Deletes an integration and its connections",
  scopes: ["integrations:delete"],
  path,
  query: noQuery,
  body: noBody,
  status: 200,
  answer: success,
  async handle({ path: { uniqueKey } }, caller, { vault }) {
    await removeIntegration(vault, caller, uniqueKey);
    return JSON.stringify({ success: true });
  },
});

const restore = defineRoute({
  method: "POST",
  paths: ["/integrations/:uniqueKey/restore"],
  summary: "Brings the integration of this name that was deleted last back, with the connections that went with it",
  scopes: ["integrations:create"],
  path,
  query: noQuery,
  body: noBody,
  status: 200,
  answer: success,
  async handle({ path: { uniqueKey } }, caller, { vault }) {
    await restoreIntegrationOverApi(vault, caller, uniqueKey);
    return JSON.stringify({ success: true });
  },
});

/** Changes of integrations that no resource manages. */
export const integrationChangeRoutes: readonly Route[] = [create, quickstart, change, remove, restore];
