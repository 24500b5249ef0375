import type { FastifyInstance } from "fastify";
import { z } from "zod";
import { readEnvironmentVariables } from "../vault/read-environment-variables.ts";
import { refusedKey } from "./authentication.ts";
import { parseQuery } from "./request-schemas.ts";
import { serveRead, type RouteDeps } from "./route.ts";

const noQuery = z.strictObject({});

/** `GET /environment-variables`: what `spec.variables` of the Environment holds, as a bare list. */
export function serveEnvironmentVariables(app: FastifyInstance, deps: RouteDeps): void {
  serveRead(app, deps, ["/environment-variables"], async (request, caller) => {
    parseQuery(noQuery, request.query);
    const result = await readEnvironmentVariables(deps.vault, caller);
    if (result.kind === "unknown_key" || result.kind === "forbidden") throw refusedKey(result);
    return JSON.stringify(result.variables.map(({ name, value }) => ({ name, value: value.reveal() })));
  });
}
