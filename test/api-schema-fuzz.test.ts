import * as fc from "fast-check";
import { afterAll, beforeAll, expect, test } from "vitest";
import { openApiDocument } from "../src/api/openapi.ts";
import type { Route } from "../src/api/route.ts";
import { PASSED_ON_ROUTES, ROUTES } from "../src/api/routes.ts";
import { ask, createEnvironment, startTestApi, type TestApi, type TestEnvironment } from "./support/api-server.ts";
import { allowing } from "./support/outbound.ts";
import { fromSchema, type Known, oddText, type Schema } from "./support/from-schema.ts";
import { startUpstream, type Upstream } from "./support/upstream.ts";

// Requests that our own OpenAPI document allows, and those next to them, against every route there is.

/** KEYSTEAD_TEST_FUZZ_REQUESTS=20000 for a run that means it, which takes some minutes. */
const REQUESTS = Number(process.env["KEYSTEAD_TEST_FUZZ_REQUESTS"] ?? 1_000);

let api: TestApi;
let shop: TestEnvironment;
let upstream: Upstream;
/** Keys that may less. */
let narrow: string[];

beforeAll(async () => {
  api = await startTestApi({}, { wayOut: { allow: allowing("127.0.0.1") } });
  upstream = await startUpstream();
  shop = await createEnvironment(api, { REGION: "canary-variable" });
  narrow = await shop.apiKeys(
    { name: "lister", scopes: ["connections:list", "integrations:list"] },
    {
      name: "sales",
      scopes: ["connections:list", "connections:create", "proxy"],
      connectionSelector: { team: "sales" },
    },
  );
  const client = { type: "OAUTH2", client_id: "id", client_secret: "canary-client" };
  const managed = await shop.integration("managed", { mode: "OAUTH2", client });
  const canary = { type: "API_KEY", value: { apiKey: "canary-apikey" } } as const;
  await shop.connection(managed, "acme", { credentials: canary, config: { token: "canary-config" } });
  const headers = { authorization: "Bearer ${credentials.apiKey}", "x-account": "${config.account}" };
  const proxied = await shop.integration("proxied", { proxy: { baseUrl: `${upstream.url}/v1`, headers } });
  await shop.connection(proxied, "acme", { credentials: canary, config: { account: "canary-config" } });
  await makeTool();
});
afterAll(async () => {
  await api[Symbol.asyncDispose]();
  await upstream[Symbol.asyncDispose]();
});

/** What requests are about; they delete it as well. */
async function makeTool(): Promise<void> {
  await post("/integrations", { provider: "api-key", unique_key: "tool" });
  const credentials = { type: "API_KEY", apiKey: "own" };
  await post("/connections", { provider_config_key: "tool", connection_id: "acme", credentials });
}

function post(path: string, body: object): Promise<Response> {
  const headers = { "content-type": "application/json" };
  return ask(api, path, shop.key, { method: "POST", headers, body: JSON.stringify(body) });
}

interface Parameter {
  readonly name: string;
  readonly in: "path" | "query" | "header";
  readonly required: boolean;
  readonly schema: Schema;
}

interface Operation {
  readonly parameters: readonly Parameter[];
  readonly requestBody?: { readonly content: Readonly<Record<string, { readonly schema: Schema }>> };
}

const KNOWN: Known = {
  connectionId: ["acme", "one"],
  connection_id: ["acme", "one"],
  provider_config_key: ["tool", "tool", "managed"],
  uniqueKey: ["tool", "managed", "made"],
  unique_key: ["made"],
  integrationId: ["tool", "tool,managed"],
  provider: ["api-key", "basic", "oauth2"],
  purge: ["true"],
  action: ["connection.created"],
  "Provider-Config-Key": ["proxied", "proxied", "proxied", "tool"],
  "Connection-Id": ["acme"],
  "Base-Url-Override": ["", "http://127.0.0.1:9", "https://evil.example"],
  Decompress: ["true", "false"],
  Retries: ["0", "2"],
  "Retry-On": ["409,423"],
  limit: ["1", "10"],
  page: ["0", "1"],
};

interface Request {
  readonly route: Route;
  readonly path: string;
  readonly body: unknown;
  readonly key: "main" | "lister" | "sales" | "none";
}

function requests(): fc.Arbitrary<Request> {
  const document = openApiDocument(ROUTES, [], { version: "fuzz" }) as {
    paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>;
  };
  const all = ROUTES.flatMap((route) =>
    route.paths.map((path) => {
      const braced = path.replaceAll(/:(\w+)/g, "{$1}");
      const operation = document.paths[braced]?.[route.method.toLowerCase()];
      return requestOf(route, braced, operation ?? expect.unreachable());
    }),
  );
  return fc.oneof(...all);
}

function requestOf(route: Route, path: string, operation: Operation): fc.Arbitrary<Request> {
  const parameters = operation.parameters.map(({ name, schema: one }) =>
    fromSchema(one, KNOWN, name).map((value) => [name, value] as const),
  );
  const schema = operation.requestBody?.content["application/json"]?.schema;
  return fc
    .record({
      values: fc.tuple(...parameters),
      present: fc.array(fc.constantFrom(true, false, false), {
        minLength: parameters.length,
        maxLength: parameters.length,
      }),
      odd: fc.oneof({ weight: 12, arbitrary: fc.constant(null) }, fc.tuple(oddText, oddText)),
      body: schema ? fromSchema(schema, KNOWN) : fc.constant(undefined),
      key: fc.oneof(
        { weight: 12, arbitrary: fc.constant("main" as const) },
        { weight: 6, arbitrary: fc.constantFrom("lister" as const, "sales" as const) },
        // Answered late.
        { weight: 1, arbitrary: fc.constant("none" as const) },
      ),
    })
    .map(({ values, present, odd, body, key }): Request => {
      const query = values.filter((_value, index) => {
        const parameter = operation.parameters[index];
        return parameter?.in === "query" && (parameter.required || present[index]);
      });
      const named = new Map(values);
      const filled = path.replaceAll(/\{(\w+)\}/g, (_match, name: string) => pathPart(named.get(name)));
      const search = [...query.flatMap(printed), ...(odd ? [odd] : [])]
        .map((pair) => pair.map((part) => encodeURIComponent(part.toWellFormed())).join("="))
        .join("&");
      return { route, path: `${filled}?${search}`, body, key };
    });
}

/** Dots and nothing at all would make it another path before it is sent; test/api-refusals.test.ts sends those. */
function pathPart(value: unknown): string {
  const text = textOf(value).toWellFormed();
  return /^\.*$/.test(text) ? "dots" : encodeURIComponent(text);
}

/** As a client would write it. An object may have a `toString` that is anything. */
function textOf(value: unknown): string {
  return typeof value === "string" ? value : JSON.stringify(value ?? null);
}

/** `tags[team]=sales` of an object. */
function printed([name, value]: readonly [string, unknown]): (readonly [string, string])[] {
  if (typeof value !== "object" || value === null) return [[name, textOf(value)]];
  return Object.entries(value).map(([key, inner]) => [`${name}[${key}]`, textOf(inner)] as const);
}

/** A request takes some milliseconds, and twenty on a busy machine. */
const TIMEOUT_MS = 60_000 + REQUESTS * 20;

test(
  "no request that our own OpenAPI document leads to makes the API fail, and every answer is as the document says",
  { timeout: TIMEOUT_MS },
  async () => {
    const statuses = new Map<number, number>();
    let count = 0;
    const keys = { main: shop.key, lister: narrow[0], sales: narrow[1], none: undefined };
    await fc.assert(
      fc.asyncProperty(requests(), async ({ route, path, body, key }) => {
        if ((count += 1) % 20 === 0) await makeTool();
        const response = await ask(api, path, keys[key], {
          method: route.method,
          headers: { "content-type": "application/json", "provider-config-key": "tool" },
          ...(body !== undefined && { body: JSON.stringify(body) }),
        });
        const text = await response.text();
        statuses.set(response.status, (statuses.get(response.status) ?? 0) + 1);
        expect(response.status, text).toBeLessThan(500);
        if (key === "none") expect(response.status).not.toBe(200);
        if (response.status < 300) {
          expect(response.status).toBe(route.status);
          expect(() => route.answer.parse(JSON.parse(text)), text).not.toThrow();
        } else {
          expect(JSON.parse(text)).toHaveProperty("error.code");
          expect(text).not.toContain("canary");
          expect(text).not.toContain(shop.key);
        }
      }),
      { numRuns: REQUESTS },
    );
    expect(api.logged()).not.toContain("canary");
    // The generator reaches what it is meant to reach.
    expect([...statuses.keys()]).toEqual(expect.arrayContaining([200, 400, 401, 403, 404]));
    expect((statuses.get(200) ?? 0) + (statuses.get(201) ?? 0)).toBeGreaterThan(REQUESTS / 20);
  },
);

interface ProxiedRequest {
  readonly method: string;
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
  readonly key: "main" | "sales" | "none";
}

/** Paths of any parts, the headers that are known to the proxy, and one that is sent on. */
function proxiedRequests(): fc.Arbitrary<ProxiedRequest> {
  const document = openApiDocument([], PASSED_ON_ROUTES, { version: "fuzz" }) as {
    paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>;
  };
  const [operations = {}] = Object.values(document.paths);
  return fc.oneof(
    ...Object.entries(operations).map(([method, { parameters }]) => {
      const known = parameters.filter((parameter) => parameter.in === "header");
      const headers = known.map(({ name, required, schema }) => {
        const value = fromSchema(schema, KNOWN, name).map(headerText);
        return fc.tuple(fc.constant(name), required ? value : fc.option(value));
      });
      return fc.record({
        method: fc.constant(method.toUpperCase()),
        path: fc.array(oddText.map(pathPart), { maxLength: 4 }).map((parts) => `/proxy/${parts.join("/")}`),
        headers: fc
          .tuple(...headers, fc.tuple(fc.constant("Nango-Proxy-X-Odd"), oddText.map(headerText)))
          .map((all) => Object.fromEntries(all.flatMap(([name, value]) => (value === null ? [] : [[name, value]])))),
        body: fc.string(),
        key: fc.constantFrom<ProxiedRequest["key"][]>("main", "main", "main", "main", "sales", "none"),
      });
    }),
  );
}

/** What a client can send as a header. */
function headerText(value: unknown): string {
  return textOf(value)
    .replaceAll(/[^\x20-\x7e]/g, "")
    .trim();
}

test(
  "no request to the proxy that our own OpenAPI document leads to makes the API fail or shows what it puts in",
  { timeout: TIMEOUT_MS },
  async () => {
    const statuses = new Set<number>();
    const keys = { main: shop.key, sales: narrow[1], none: undefined };
    await fc.assert(
      fc.asyncProperty(proxiedRequests(), async ({ method, path, headers, body, key }) => {
        const called = upstream.calls.length;
        const withBody = method !== "GET" && method !== "HEAD" && body !== "";
        const response = await ask(api, path, keys[key], { method, headers, ...(withBody && { body }) });
        const text = await response.text();
        statuses.add(response.status);
        expect(response.status, text).toBeLessThan(500);
        expect(text + JSON.stringify([...response.headers])).not.toContain("canary");
        if (response.status === 200) {
          expect(key).toBe("main");
          expect(upstream.calls.at(-1)).toMatchObject({ headers: { authorization: "Bearer canary-apikey" } });
          expect(upstream.calls.at(-1)?.url).toMatch(/^\/v1\//);
        } else {
          expect(upstream.calls.length, "nothing was sent").toBe(called);
          if (method !== "HEAD") expect(JSON.parse(text)).toHaveProperty("error.code");
        }
      }),
      { numRuns: Math.ceil(REQUESTS / 5) },
    );
    expect(api.logged()).not.toContain("canary");
    expect([...statuses]).toEqual(expect.arrayContaining([200, 400, 401, 404]));
  },
);
