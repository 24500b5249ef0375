import { randomUUID } from "node:crypto";
import { readFileSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { PASSED_ON_ROUTES, ROUTES } from "../src/api/routes.ts";
import { SCOPES, type Scope } from "../src/scopes.ts";
import { ask, createEnvironment, startTestApi, type TestApi, type TestEnvironment } from "./support/api-server.ts";
import { query } from "./support/database.ts";

// What a named key may do: the table of docs/api.md, row by row, and what a selector and an end do to it.

const page = readFileSync(new URL("../docs/api.md", import.meta.url), "utf8");
const ROWS = [
  ...page.matchAll(/^\| `(GET|POST|PATCH|DELETE) (\/\S+)` \| (any key|`\S+:\S+`(?:, `\S+:\S+`)*) \|$/gm),
].map(([, method = "", path = "", scopes = ""]) => ({
  method,
  path,
  scopes: scopes === "any key" ? [] : scopes.split(", ").map((scope) => scope.slice(1, -1)),
}));

const ACME = { provider_config_key: "github", connection_id: "acme" };
const credentials = { type: "OAUTH2", access_token: "at-1" };
const client = { type: "OAUTH2", client_id: "Iv1", client_secret: "client-secret-of-github" };

/** Bodies of the rows that need one. */
const BODIES: Readonly<Record<string, object>> = {
  "POST /connections": { ...ACME, credentials, tags: { team: "sales", tier: "1" } },
  "POST /connection": { ...ACME, credentials },
  "PATCH /connections/acme": { tags: { team: "sales", tier: "1" } },
  "PATCH /connection/acme": { tags: { team: "sales", tier: "1" } },
  "POST /connections/metadata": { ...ACME, metadata: {} },
  "PATCH /connections/metadata": { ...ACME, metadata: {} },
  "POST /connection/metadata": { ...ACME, metadata: {} },
  "PATCH /connection/metadata": { ...ACME, metadata: {} },
  "POST /connection/acme/metadata": {},
  "PATCH /connection/acme/metadata": {},
  "PATCH /integrations/github": { display_name: "GitHub" },
};

let api: TestApi;
let environment: TestEnvironment;

beforeAll(async () => {
  api = await startTestApi();
  environment = await createEnvironment(api, { REGION: "eu" });
  await makeGithub();
  await makeConnections();
});

/** Not of resources, so that the rows that change something can. */
async function makeGithub(): Promise<void> {
  await send("POST", "/integrations", environment.key, {
    provider: "oauth2",
    unique_key: "github",
    credentials: client,
  });
}

async function makeConnections(): Promise<void> {
  const config = { connection_config: { subdomain: "acme" } };
  await send("POST", "/connections", environment.key, { ...BODIES["POST /connections"], ...config });
  const other = { ...ACME, connection_id: "other", credentials, tags: { team: "support" } };
  await send("POST", "/connections", environment.key, other);
}

afterAll(() => api[Symbol.asyncDispose]());

interface Answer {
  readonly status: number;
  readonly body: Readonly<Record<string, unknown>>;
}

const answer = (path: string, key: string | undefined): Promise<Answer> => send("GET", path, key);

async function send(method: string, path: string, key: string | undefined, sent?: object): Promise<Answer> {
  const headers = { "provider-config-key": "github", "content-type": "application/json" };
  const response = await ask(api, path, key, { method, headers, ...(sent && { body: JSON.stringify(sent) }) });
  const body = (await response.json()) as Answer["body"];
  return { status: response.status, body };
}

function read(id: string, key: string | undefined): Promise<Answer> {
  return answer(`/connections/${id}?provider_config_key=github`, key);
}

async function connectionIds(key: string | undefined, path = "/connections"): Promise<string[]> {
  const { body } = await answer(path, key);
  const list = body["connections"] as { connection_id: string }[];
  return list.map(({ connection_id: id }) => id).toSorted();
}

test("the table names every scope there is, and no other", () => {
  expect(ROWS.length).toBeGreaterThan(30);
  const passedOn = PASSED_ON_ROUTES.flatMap(({ scopes }) => scopes);
  const named = new Set<string>([...passedOn, ...ROWS.flatMap(({ scopes }) => scopes)]);
  expect([...named].toSorted()).toEqual([...SCOPES].toSorted());
});

/** What a row needs so that it can be done. */
async function prepare(method: string, path: string): Promise<void> {
  if (path.startsWith("/connections/acme/restore")) {
    await send("DELETE", "/connections/acme?provider_config_key=github", environment.key);
  }
  if (path === "/integrations/github/restore") await send("DELETE", "/integrations/github", environment.key);
  if (path === "/integrations/github" && method === "DELETE") await makeGithub();
  if (method === "DELETE" && path.includes("/acme")) await makeConnections();
}

/** A row as it is sent; what is added needs another name each time. */
function bodyOf(method: string, path: string): object | undefined {
  if (method === "POST" && path.startsWith("/integrations") && !path.endsWith("/restore")) {
    return { provider: "api-key", unique_key: `tool-${randomUUID()}` };
  }
  return BODIES[`${method} ${path.replace(/\?.*/, "")}`];
}

describe.each(ROWS)("$method $path", ({ method, path, scopes }) => {
  const row = async (key: string | undefined) => {
    await prepare(method, path);
    return send(method, path, key, bodyOf(method, path));
  };
  afterAll(async () => {
    // Without the integration the rows below it would find nothing.
    await makeGithub();
    await makeConnections();
  });

  test("each scope of its row is enough, and all others together are not", async () => {
    const others = SCOPES.filter((scope) => !scopes.includes(scope));
    const keys = await environment.apiKeys(
      { name: "without", scopes: others },
      ...scopes.map((scope, index) => ({ name: `with-${index}`, scopes: [scope as Scope] })),
    );
    const [without, ...enough] = keys;
    const allowed = [environment.key, ...enough, ...(scopes.length === 0 ? [without] : [])];
    for (const key of allowed) expect([200, 201]).toContain((await row(key)).status);
    if (scopes.length === 0) return;

    const { status, body } = await row(without);
    expect(status).toBe(403);
    expect(body).toMatchObject({ error: { code: "forbidden" } });
    expect(scopes.some((scope) => JSON.stringify(body).includes(scope))).toBe(true);
  });
});

test("the table has a row for every path of every route, with the scopes that the route declares", () => {
  const documented = new Set(
    ROWS.map(({ method, path, scopes }) => `${method} ${patternOf(path)} ${scopes.join(" ")}`),
  );
  const declared = ROUTES.flatMap(({ method, paths, scopes }) =>
    paths.map((path) => `${method} ${path.replaceAll(/:[A-Za-z]+/g, "*")} ${scopes.join(" ")}`),
  );
  expect(declared.filter((line) => !documented.has(line))).toEqual([]);
  for (const { documented: path, scopes } of PASSED_ON_ROUTES) {
    expect(page).toContain(`| \`ANY ${path}\` | ${scopes.map((scope) => `\`${scope}\``).join(", ")} |`);
  }
});

describe.each(PASSED_ON_ROUTES)("ANY $documented", ({ methods, documented, scopes }) => {
  test.each(methods)("%s needs its scope, and all others together are not enough", async (method) => {
    const headers = { "provider-config-key": "github", "connection-id": "acme" };
    const call = async (key: string | undefined) =>
      (await ask(api, documented.replace("{path}", "x"), key, { method, headers })).status;
    const [without, enough] = await environment.apiKeys(
      { name: "without", scopes: SCOPES.filter((scope) => !scopes.includes(scope)) },
      { name: "enough", scopes },
    );
    expect(await call(without)).toBe(403);
    // Let in: what it is refused for is that github says nowhere where to call.
    for (const key of [enough, environment.key]) expect(await call(key)).toBe(400);
  });
});

/** `/connections/*` of `/connections/acme?provider_config_key=github`. */
function patternOf(path: string): string {
  return path.replace(/\?.*/, "").replace(/\/(acme|github|basic)(?=\/|$)/, "/*");
}

test("without read_credentials a connection has everything but its credentials, and the event says so", async () => {
  const [key] = await environment.apiKeys({ name: "reader", scopes: ["connections:read"] });
  const path = "/connections/acme?provider_config_key=github&refresh_token=false&force_refresh=false";
  const { status, body } = await answer(path, key);
  expect(status).toBe(200);
  expect(body).toMatchObject({ connection_id: "acme", connection_config: { subdomain: "acme" } });
  expect(body).not.toHaveProperty("credentials");
  const [event] = await query<{ action: string }>(
    api.database.ownerUrl,
    "select action from keystead.audit_events where target_kind = 'connection' order by event_id desc limit 1",
  );
  expect(event).toEqual({ action: "connection.read" });
});

test("a request without its scope is refused whether or not what it names exists", async () => {
  const [key] = await environment.apiKeys({ name: "lister", scopes: ["connections:list"] });
  for (const path of ["/connections/none?provider_config_key=github", "/connections/acme?provider_config_key=none"])
    expect(await answer(path, key)).toMatchObject({ status: 403 });
  expect(await answer("/integrations/none", key)).toMatchObject({ status: 403 });
});

test("to a key with a selector the connections without its tags do not exist", async () => {
  const scopes = ["connections:list", "connections:read_credentials"] as const;
  const [one, both, none] = await environment.apiKeys(
    { name: "one", scopes, connectionSelector: { team: "sales" } },
    { name: "both", scopes, connectionSelector: { team: "support", tier: "1" } },
    { name: "none", scopes },
  );
  expect((await read("acme", one)).status).toBe(200);
  const hidden = await read("other", one);
  const absent = await read("nobody", one);
  expect(hidden.status).toBe(404);
  expect(JSON.stringify(hidden.body).replace("other", "nobody")).toBe(JSON.stringify(absent.body));
  expect((await read("acme", both)).status).toBe(404);

  expect(await connectionIds(one)).toEqual(["acme"]);
  expect(await connectionIds(one, "/connections?connectionId=other")).toEqual([]);
  expect(await connectionIds(one, "/connections?search=other")).toEqual([]);
  expect(await connectionIds(one, "/connections?tags[team]=support")).toEqual([]);
  expect(await connectionIds(both)).toEqual([]);
  expect(await connectionIds(none)).toEqual(["acme", "other"]);
});

test("an edit of scopes and selector counts for the next request, with the same key", async () => {
  const scopes = ["connections:list", "connections:read"] as const;
  const [key] = await environment.apiKeys({ name: "edited", scopes });
  const path = "/connections/acme?provider_config_key=github";
  expect((await answer(path, key)).status).toBe(200);
  const [same] = await environment.apiKeys({ name: "edited", scopes, connectionSelector: { team: "support" } });
  expect(same).toBe(key);
  expect((await answer(path, key)).status).toBe(404);
  await environment.apiKeys({ name: "edited", scopes: ["connections:list"] });
  expect((await answer(path, key)).status).toBe(403);
});

test("a key that was removed or has expired is unknown, and one of its name later is another", async () => {
  const scopes = ["connections:list"] as const;
  const [ended, expiring] = await environment.apiKeys(
    { name: "ended", scopes },
    { name: "expiring", scopes, expiresAfterSeconds: 3_600 },
  );
  expect((await answer("/connections", expiring)).status).toBe(200);
  await query(
    api.database.ownerUrl,
    "update keystead.key_digests set expires_at = expires_at - interval '1 hour' where expires_at is not null",
  );
  expect((await answer("/connections", expiring)).status).toBe(401);

  await environment.apiKeys();
  expect((await answer("/connections", ended)).status).toBe(401);
  const [again] = await environment.apiKeys({ name: "ended", scopes });
  expect(again).not.toBe(ended);
  expect((await answer("/connections", ended)).status).toBe(401);
});
