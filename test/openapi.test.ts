import { afterAll, beforeAll, expect, test } from "vitest";
import { PASSED_ON_ROUTES, ROUTES } from "../src/api/routes.ts";
import { VERSION } from "../src/version.ts";
import { ask, startTestApi, type TestApi } from "./support/api-server.ts";

let api: TestApi;
let document: OpenApi;
beforeAll(async () => {
  api = await startTestApi();
  document = (await (await ask(api, "/openapi.json")).json()) as OpenApi;
});
afterAll(() => api[Symbol.asyncDispose]());

interface Operation {
  readonly operationId: string;
  readonly deprecated?: boolean;
  readonly parameters: readonly { name: string; in: string; required: boolean; style?: string; schema: object }[];
  readonly requestBody?: { readonly content: Readonly<Record<string, { readonly schema: object }>> };
  readonly responses: Readonly<Record<string, { content: Readonly<Record<string, { schema: object }>> }>>;
}

interface OpenApi {
  readonly openapi: string;
  readonly info: { readonly version: string };
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>;
}

function operation(method: string, path: string): Operation {
  return document.paths[path]?.[method] ?? expect.fail(`there is no ${method} ${path}`);
}

test("the document is served without a key, and says which version it is of", async () => {
  const response = await ask(api, "/openapi.json");
  expect([response.status, response.headers.get("content-type")]).toEqual([200, "application/json; charset=utf-8"]);
  expect(document).toMatchObject({ openapi: "3.1.0", info: { version: VERSION } });
});

test("it has every route under each of its paths, the older ones as deprecated", () => {
  const operations = Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, { deprecated = false }]) => `${method} ${path} ${deprecated}`),
  );
  const served = ROUTES.flatMap(({ method, paths }) =>
    paths.map((path, index) => `${method.toLowerCase()} ${path.replaceAll(/:(\w+)/g, "{$1}")} ${index > 0}`),
  );
  const passedOn = PASSED_ON_ROUTES.flatMap(({ methods, documented }) =>
    methods.map((method) => `${method.toLowerCase()} ${documented} false`),
  );
  expect(operations.toSorted()).toEqual([...served, ...passedOn].toSorted());
  const ids = Object.values(document.paths).flatMap((methods) => Object.values(methods).map((one) => one.operationId));
  expect(new Set(ids).size).toBe(ids.length);
});

test("parameters and bodies are those that are checked", () => {
  const read = operation("get", "/connections/{connectionId}");
  expect(read.parameters).toContainEqual({
    name: "provider_config_key",
    in: "query",
    required: true,
    style: "form",
    explode: true,
    schema: { type: "string", minLength: 1, maxLength: 255, pattern: expect.any(String) },
  });
  expect(read.parameters).toContainEqual(expect.objectContaining({ name: "connectionId", in: "path", required: true }));
  expect(read).not.toHaveProperty("requestBody");
  const list = operation("get", "/connections");
  expect(list.parameters).toContainEqual(
    expect.objectContaining({ name: "tags", required: false, style: "deepObject", explode: true }),
  );
  const create = operation("post", "/connections");
  expect(create.requestBody?.content["application/json"]?.schema).toMatchObject({
    type: "object",
    required: ["provider_config_key", "credentials"],
    additionalProperties: false,
  });
  expect(Object.keys(create.responses)).toEqual(["201", "default"]);
});

test("the proxy is in it with each of its methods, its headers and any body", () => {
  const methods = Object.keys(document.paths["/proxy/{path}"] ?? {});
  expect(methods).toEqual(["get", "head", "post", "put", "patch", "delete"]);
  const post = operation("post", "/proxy/{path}");
  const header = { in: "header", schema: expect.any(Object) };
  expect(post.parameters).toEqual([
    expect.objectContaining({ name: "path", in: "path", required: true }),
    { ...header, name: "Provider-Config-Key", required: true },
    { ...header, name: "Connection-Id", required: true },
    { ...header, name: "Base-Url-Override", required: false },
    { ...header, name: "Retries", required: false },
    { ...header, name: "Retry-On", required: false },
    { ...header, name: "Decompress", required: false },
  ]);
  expect(post.requestBody?.content).toEqual({ "*/*": {} });
  expect(operation("get", "/proxy/{path}")).not.toHaveProperty("requestBody");
});

test("a header that a route needs is one of its parameters", () => {
  expect(operation("post", "/connection/{connectionId}/metadata").parameters).toContainEqual(
    expect.objectContaining({ name: "Provider-Config-Key", in: "header", required: true }),
  );
});

test("no part of it refers to something that is not in it", () => {
  const references = [...JSON.stringify(document).matchAll(/"\$ref":"([^"]*)"/g)].map(([, target]) => target);
  expect(new Set(references)).toEqual(new Set(["#/components/schemas/Error"]));
});

test("the page at / says what this is, and all that it links can be read without a key", async () => {
  const response = await ask(api, "/");
  expect([response.status, response.headers.get("content-type")]).toEqual([200, "text/html; charset=utf-8"]);
  const text = await response.text();
  expect(text).toContain(`Keystead ${VERSION}`);
  const links = [...text.matchAll(/href="([^"]*)"/g)].map(([, link]) => link);
  expect(links).toEqual(expect.arrayContaining(["openapi.json", "docs/api.md", "docs/errors.md"]));
  for (const link of links) {
    const page = await ask(api, `/${link}`);
    expect([page.status, page.headers.get("content-type")?.split(";")[0]], link).toEqual([
      200,
      link?.endsWith(".json") ? "application/json" : "text/plain",
    ]);
    if (link?.endsWith(".md")) expect(await page.text()).toMatch(/^# /);
  }
  expect((await ask(api, "/docs/..%2fpackage.json")).status).toBe(404);
});
