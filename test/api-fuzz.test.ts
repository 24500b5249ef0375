import * as fc from "fast-check";
import { afterAll, beforeAll, expect, test } from "vitest";
import { ask, createEnvironment, startTestApi, type TestApi, type TestEnvironment } from "./support/api-server.ts";

let api: TestApi;
let shop: TestEnvironment;
beforeAll(async () => {
  api = await startTestApi();
  shop = await createEnvironment(api, { REGION: "canary-variable" });
  const tool = await shop.integration("tool");
  await shop.connection(tool, "acme", { credentials: { type: "API_KEY", value: { apiKey: "canary-apikey" } } });
});
afterAll(() => api[Symbol.asyncDispose]());

const names = fc.constantFrom(
  "provider_config_key",
  "refresh_token",
  "force_refresh",
  "connectionId",
  "search",
  "integrationId",
  "endUserId",
  "limit",
  "page",
  "tags[team]",
  "tags[__proto__]",
  "tags",
  "include",
  "include_creds",
  "constructor",
  "__proto__",
);
const odd = fc.oneof(
  fc.constantFrom(
    "tool",
    "acme",
    "true",
    "0",
    "1",
    "-1",
    "NaN",
    "1e9",
    "null",
    "a,b",
    ",",
    "%",
    "_",
    "'",
    '"',
    "\\",
    "\0",
  ),
  fc.string({ unit: "binary", maxLength: 40 }),
);
const roots = fc.constantFrom(
  "connections",
  "connection",
  "integrations",
  "config",
  "environment-variables",
  "livez",
  "proxy",
);
/** Requests at one time. */
const TOGETHER = 50;

interface FuzzRequest {
  readonly method: string;
  readonly path: string;
  readonly query: readonly (readonly [name: string, value: string])[];
  readonly withKey: boolean;
}

const request: fc.Arbitrary<FuzzRequest> = fc.record({
  method: fc.constantFrom("GET", "GET", "GET", "GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"),
  path: fc
    .tuple(roots, fc.option(odd))
    .map(([root, id]) => `/${root}${id === null ? "" : `/${encodeURIComponent(id)}`}`),
  query: fc.array(fc.tuple(names, odd), { maxLength: 5 }),
  withKey: fc.boolean(),
});

test("a caller without a key never learns whether something exists", async () => {
  const paths = ["acme", "nobody"].map((id) => `/connections/${id}?provider_config_key=tool`);
  const answers = await Promise.all(paths.map(async (path) => (await ask(api, path, undefined)).text()));
  expect(new Set(answers).size).toBe(1);
});

test("no request makes the API fail, and only the right key is ever told a secret", async () => {
  const statuses = new Set<number>();
  const check = async ({ method, path, query, withKey }: FuzzRequest): Promise<void> => {
    const search = query.map(([name, value]) => `${name}=${encodeURIComponent(value)}`).join("&");
    const answer = await ask(api, `${path}?${search}`, withKey ? shop.key : undefined, { method });
    const text = await answer.text();
    statuses.add(answer.status);
    expect(answer.status).toBeLessThan(500);
    if (answer.status !== 200) expect(text).not.toContain("canary");
    if (answer.status >= 400 && method !== "HEAD") expect(JSON.parse(text)).toHaveProperty("error.code");
    if (!withKey && path !== "/livez" && method === "GET") expect([400, 401, 404, 429]).toContain(answer.status);
  };
  // Many at once, since one without a key is answered late.
  const requests = fc.array(request, { minLength: TOGETHER, maxLength: TOGETHER });
  await fc.assert(
    fc.asyncProperty(requests, async (all) => void (await Promise.all(all.map(check)))),
    { numRuns: 1_500 / TOGETHER },
  );
  // The generator reaches what it is meant to reach.
  expect([...statuses]).toEqual(expect.arrayContaining([200, 204, 400, 401, 404]));
});
