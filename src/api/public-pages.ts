import type { FastifyInstance } from "fastify";
import { readdirSync, readFileSync } from "node:fs";
import { VERSION } from "../version.ts";
import { CROSS_ORIGIN_HEADERS } from "./cross-origin.ts";
import { openApiDocument } from "./openapi.ts";
import { PASSED_ON_ROUTES, ROUTES } from "./routes.ts";

/** Pages of this size change with a release only. */
const CACHE_SECONDS = 300;

/** The docs of this version. The sources and the emitted code lie equally deep beside them. */
const DOCS = new URL("../../docs/", import.meta.url);

const page = (docs: readonly string[]): string => `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<title>Keystead</title>
<h1>Keystead</h1>
<p>This is the HTTP API of Keystead ${VERSION}, which keeps the credentials that applications hold for other companies'
APIs. It answers to the keys of its environments, in the contract of Nango's public client.</p>
<ul>
<li><a href="openapi.json">openapi.json</a>: every route, in OpenAPI 3.1</li>
<li><a href="docs/api.md">docs/api.md</a>: authentication, scopes, errors and limits, with examples</li>
</ul>
<p>All pages: ${docs.map((name) => `<a href="docs/${name}">${name}</a>`).join(", ")}</p>
</html>
`;

/** `/`, `/openapi.json` and `/docs`, for whoever wants to know what this is: they need no key and hold nothing of any environment. */
export function servePublicPages(app: FastifyInstance): void {
  // One for all: of a text each answer that waits to be taken has a copy. The same with the docs.
  const document = Buffer.from(JSON.stringify(openApiDocument(ROUTES, PASSED_ON_ROUTES, { version: VERSION })));
  const headers = {
    ...CROSS_ORIGIN_HEADERS,
    "cache-control": `max-age=${CACHE_SECONDS}`,
    "x-content-type-options": "nosniff",
  };
  app.get("/openapi.json", (_request, reply) =>
    reply.headers(headers).type("application/json; charset=utf-8").send(document),
  );
  const docs = readdirSync(DOCS).filter((name) => name.endsWith(".md"));
  for (const name of docs) {
    const text = readFileSync(new URL(name, DOCS));
    app.get(`/docs/${name}`, (_request, reply) =>
      // Browsers show it, which many do not with text/markdown.
      reply.headers(headers).type("text/plain; charset=utf-8").send(text),
    );
  }
  app.get("/", (_request, reply) =>
    reply
      .headers({ ...headers, "content-security-policy": "default-src 'none'" })
      .type("text/html; charset=utf-8")
      .send(page(docs)),
  );
}
