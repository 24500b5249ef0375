import { z } from "zod";
import { readEnvironmentVariables } from "../vault/read-environment-variables.ts";
import { refusedKey } from "./authentication.ts";
import { noBody, noPath, noQuery } from "./request-schemas.ts";
import { defineRoute } from "./route.ts";

/** What `spec.variables` of the Environment holds, as a bare list. */
export const environmentVariablesRoute = defineRoute({
  method: "GET",
  paths: ["/environment-variables"],
  summary: "The environment's variables",
  scopes: ["variables:read"],
  path: noPath,
  query: noQuery,
  body: noBody,
  status: 200,
  answer: z.array(z.strictObject({ name: z.string(), value: z.string() })),
  async handle(_request, caller, { vault }) {
    const result = await readEnvironmentVariables(vault, caller);
    if (result.kind === "unknown_key" || result.kind === "forbidden") throw refusedKey(result);
    return JSON.stringify(result.variables.map(({ name, value }) => ({ name, value: value.reveal() })));
  },
});
