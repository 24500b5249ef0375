import { z } from "zod";
import { KeysteadError } from "../errors.ts";
import { findProvider, PROVIDERS } from "../oauth/catalogue.ts";
import { checkKey } from "../vault/admit-key.ts";
import { provider, providerAnswer } from "./provider-answer.ts";
import { noBody, noPath } from "./request-schemas.ts";
import { defineRoute, type Route } from "./route.ts";

/** Name of a provider, as the contract has it. */
export const providerName = z.string().regex(/^[A-Za-z0-9_-]{1,255}$/, "is no name of a provider");

const list = defineRoute({
  method: "GET",
  paths: ["/providers"],
  summary: "Providers that integrations can be made for over the API",
  scopes: [],
  path: noPath,
  query: z.strictObject({ search: z.string().max(255).optional() }),
  body: noBody,
  status: 200,
  answer: z.strictObject({ data: z.array(provider) }),
  async handle({ query: { search = "" } }, caller, { vault }) {
    await checkKey(vault, caller);
    const sought = search.toLowerCase();
    const found = PROVIDERS.filter(({ name, displayName }) => `${name} ${displayName}`.toLowerCase().includes(sought));
    return JSON.stringify({ data: found.map(providerAnswer) });
  },
});

const read = defineRoute({
  method: "GET",
  paths: ["/providers/:provider"],
  summary: "One provider",
  scopes: [],
  path: z.object({ provider: providerName }),
  query: z.strictObject({}),
  body: noBody,
  status: 200,
  answer: z.strictObject({ data: provider }),
  async handle({ path: { provider: name } }, caller, { vault }) {
    await checkKey(vault, caller);
    const found = findProvider(name);
    if (!found) throw new KeysteadError("not_found", `There is no provider ${JSON.stringify(name)}.`);
    return JSON.stringify({ data: providerAnswer(found) });
  },
});

/** What integrations can be made for. */
export const providerRoutes: readonly Route[] = [list, read];
