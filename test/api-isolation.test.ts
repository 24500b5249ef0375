import * as fc from "fast-check";
import { afterAll, beforeAll, expect, test } from "vitest";
import { ask, createEnvironment, startTestApi, type TestApi, type TestEnvironment } from "./support/api-server.ts";
import { query } from "./support/database.ts";

// Two environments with integrations and connections of the same names. Whatever is done with the key of one of them, the
// other is neither told of nor touched.

/** A run of calls in which something goes wrong is only as good as its length. */
const RUNS = Number(process.env["KEYSTEAD_TEST_ISOLATION_RUNS"] ?? 30);

let api: TestApi;
beforeAll(async () => {
  api = await startTestApi();
});
afterAll(() => api[Symbol.asyncDispose]());

/** Everything of an environment has its mark in it. */
async function createMarked(mark: string): Promise<TestEnvironment> {
  const environment = await createEnvironment(api, { MARK: mark });
  const client = { type: "OAUTH2", client_id: mark, client_secret: mark } as const;
  await environment.nango.createIntegration({
    provider: "oauth2",
    unique_key: "github",
    display_name: mark,
    credentials: client,
  });
  await environment.nango.createIntegration({ provider: "api-key", unique_key: "tool", display_name: mark });
  for (const id of ["acme", "deleted"]) {
    await send(environment.key, "POST", "/connections", {
      provider_config_key: "tool",
      connection_id: id,
      credentials: { type: "API_KEY", apiKey: mark },
      metadata: { mark },
      connection_config: { mark },
      tags: { mark },
      end_user: { id: mark },
    });
  }
  await environment.connection(await environment.integration("managed"), "acme", {
    credentials: { type: "API_KEY", value: { apiKey: mark } },
    metadata: { mark },
  });
  await send(environment.key, "DELETE", "/connections/deleted?provider_config_key=tool");
  return environment;
}

async function send(key: string, method: string, path: string, body?: object): Promise<string> {
  const headers = { "content-type": "application/json", "provider-config-key": "tool", "connection-id": "acme" };
  const response = await ask(api, path, key, { method, headers, ...(body && { body: JSON.stringify(body) }) });
  return response.text();
}

/** What the caller may know of the other environment and try: ids of its rows. */
interface OtherIds {
  readonly row: string;
  readonly numeric: string;
  readonly event: string;
}

type Call = readonly [method: string, path: string, body?: object];

const key = fc.constantFrom("tool", "github", "managed");
const id = fc.constantFrom("acme", "deleted", "new");
const apiKey = { type: "API_KEY", apiKey: "own" };

function cursorOf(place: string): string {
  return Buffer.from(JSON.stringify([place])).toString("base64url");
}

function calls(other: OtherIds): fc.Arbitrary<Call> {
  const at = fc.tuple(id, key).map(([one, of]) => `/connections/${one}?provider_config_key=${of}`);
  const picked = fc.constantFrom("", `&id=${other.numeric}`);
  return fc.oneof(
    at.map((path): Call => ["GET", path]),
    at.map((path): Call => ["DELETE", path]),
    fc.tuple(at, picked).map(([path, pick]): Call => ["DELETE", `${path}&purge=true${pick}`]),
    fc.tuple(at, picked).map(([path, pick]): Call => ["POST", path.replace("?", "/restore?") + pick]),
    at.map((path): Call => ["PATCH", path, { tags: { own: "1" }, end_user: { id: "own" } }]),
    fc
      .tuple(id, key)
      .map(([one, of]): Call => [
        "POST",
        "/connections",
        { provider_config_key: of, connection_id: one, credentials: apiKey },
      ]),
    fc
      .tuple(fc.constantFrom("POST", "PATCH"), id, key)
      .map(([method, one, of]): Call => [
        method,
        "/connections/metadata",
        { provider_config_key: of, connection_id: [one], metadata: { own: 1 } },
      ]),
    key.map((of): Call => ["GET", `/integrations/${of}?include=credentials`]),
    key.map((of): Call => ["DELETE", `/integrations/${of}`]),
    key.map((of): Call => ["POST", `/integrations/${of}/restore`]),
    fc.constantFrom("GET", "POST").map((method): Call => [method, "/proxy/x"]),
    key.map((of): Call => ["PATCH", `/integrations/${of}`, { display_name: "own" }]),
    key.map((of): Call => ["POST", "/integrations", { provider: "api-key", unique_key: of }]),
    fc
      .constantFrom(
        "/connections",
        "/connections?deleted=true",
        "/connections?search=a",
        `/connections?cursor=${cursorOf(other.row)}`,
        "/integrations",
        "/environment-variables",
        "/audit-events",
        "/audit-events?connectionId=acme",
        `/audit-events?targetId=${other.row}`,
        `/audit-events?cursor=${cursorOf(other.event)}`,
      )
      .map((path): Call => ["GET", path]),
  );
}

/** All rows of an environment in all tables. */
async function everythingOf(environmentId: string): Promise<string> {
  const tables = ["environments", "secret_keys", "key_digests", "integrations", "connections", "audit_events"];
  const rows = await Promise.all(
    tables.map((table) =>
      query(
        api.database.ownerUrl,
        `select t::text as row from keystead.${table} t where environment_id = $1 order by 1`,
        [environmentId],
      ),
    ),
  );
  return JSON.stringify(rows);
}

async function idsOf(environmentId: string): Promise<OtherIds> {
  const [row] = await query<OtherIds>(
    api.database.ownerUrl,
    `select connection_row_id as row, numeric_id::text as numeric,
            (select max(event_id)::text from keystead.audit_events where environment_id = $1) as event
       from keystead.connections where environment_id = $1 and connection_id = 'acme' limit 1`,
    [environmentId],
  );
  return row ?? expect.unreachable();
}

test(
  "bad cases 3 and 9: no sequence of calls with one environment's key tells of the other, or changes it",
  { timeout: 60_000 + RUNS * 1_000 },
  async () => {
    const other = await createMarked("mark-of-the-other");
    const ids = await idsOf(other.id);
    const before = await everythingOf(other.id);
    const run = async (sequence: readonly Call[]): Promise<void> => {
      const own = await createMarked("mark-of-my-own");
      for (const call of sequence) {
        const told = await send(own.key, ...call);
        expect(told).not.toContain("mark-of-the-other");
        expect(told).not.toContain(ids.row);
        expect(told).not.toContain(other.id);
      }
      expect(await everythingOf(other.id)).toBe(before);
    };
    await fc.assert(fc.asyncProperty(fc.array(calls(ids), { minLength: 1, maxLength: 12 }), run), { numRuns: RUNS });
  },
);

test("bad case 3: what an empty environment is asked for is answered as if there were nothing anywhere", async () => {
  const other = await createMarked("mark-of-the-other");
  const ids = await idsOf(other.id);
  const [one, two] = [await createEnvironment(api), await createEnvironment(api)];
  for (const environment of [one, two]) {
    expect(await send(environment.key, "GET", "/connections")).toBe('{"connections":[]}');
    expect(await send(environment.key, "GET", "/connections?deleted=true")).toBe('{"connections":[]}');
    expect(await send(environment.key, "GET", "/integrations")).toBe('{"data":[]}');
    expect(await send(environment.key, "GET", `/audit-events?targetId=${ids.row}`)).toBe('{"events":[]}');
  }
  // A query cannot name an environment, empty or not.
  for (const name of ["environment", "environment_id", "env"]) {
    for (const value of ["", other.id]) {
      const answer = await ask(api, `/connections?${name}=${value}`, one.key);
      expect(answer.status).toBe(400);
    }
  }
});

test("bad case 9: a key that may only read changes nothing, and one that was deleted a moment ago does nothing", async () => {
  const environment = await createMarked("mark");
  const [reader = ""] = await environment.apiKeys({
    name: "reader",
    scopes: ["connections:list", "connections:read_credentials", "integrations:read_credentials"],
  });
  const before = await everythingOf(environment.id);
  const changes = fc.sample(calls(await idsOf(environment.id)), { numRuns: 100, seed: 1 });
  const changing = changes.filter(([method]) => method !== "GET");
  for (const call of changing) expect(await send(reader, ...call)).toContain('"forbidden"');
  expect(await everythingOf(environment.id)).toBe(before);

  await environment.remove();
  // Fewer than are answered with their own code.
  for (const call of changes.slice(0, 50)) expect(await send(environment.key, ...call)).toContain('"unknown_account"');
});
