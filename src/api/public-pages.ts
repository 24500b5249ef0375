import type { FastifyInstance } from "fastify";
import { VERSION } from "../version.ts";
import { CROSS_ORIGIN_HEADERS } from "./cross-origin.ts";
import { openApiDocument } from "./openapi.ts";
import { PASSED_ON_ROUTES, ROUTES } from "./routes.ts";

/** Pages of this size change with a release only. */
const CACHE_SECONDS = 300;

const PAGE = `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<title>Keystead</title>
<h1>Keystead</h1>
<p>This is the HTTP API of Keystead ${VERSION}, which keeps the credentials that applications hold for other companies'
APIs. It answers to the keys of its environments, in the contract of Nango's public client.</p>
<ul>
<li><a href="openapi.json">openapi.json</a>: every route, in OpenAPI 3.1</li>
<li>docs/api.md of this version: authentication, scopes, errors and limits, with examples</li>
</ul>
</html>
`;

/** `/` and `/openapi.json`, for whoever wants to know what this is: they need no key and hold nothing of any environment. */
export function servePublicPages(app: FastifyInstance): void {
  // One for all: of a text each answer that waits to be taken has a copy.
  const document = Buffer.from(JSON.stringify(openApiDocument(ROUTES, PASSED_ON_ROUTES, { version: VERSION })));
  const headers = {
    ...CROSS_ORIGIN_HEADERS,
    "cache-control": `max-age=${CACHE_SECONDS}`,
    "x-content-type-options": "nosniff",
  };
  app.get("/openapi.json", (_request, reply) =>
    reply.headers(headers).type("application/json; charset=utf-8").send(document),
  );
  app.get("/", (_request, reply) =>
    reply
      .headers({ ...headers, "content-security-policy": "default-src 'none'" })
      .type("text/html; charset=utf-8")
      .send(PAGE),
  );
}
