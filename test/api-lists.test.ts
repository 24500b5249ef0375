import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { ask, createEnvironment, startTestApi, type TestApi, type TestEnvironment } from "./support/api-server.ts";
import { insertConnections } from "./support/many-connections.ts";

// Lists beyond the contract: parts that a cursor continues, and audit events.

let api: TestApi;
let shop: TestEnvironment;

beforeAll(async () => {
  api = await startTestApi();
  shop = await createEnvironment(api);
  await shop.nango.createIntegration({ provider: "api-key", unique_key: "tool" });
  await insertConnections(api.database.ownerUrl, 1_203);
});
afterAll(() => api[Symbol.asyncDispose]());

interface Part {
  readonly connections: readonly { readonly connection_id: string }[];
  readonly next_cursor?: string;
}

async function part(path: string, key = shop.key, url = api.url): Promise<Part> {
  const response = await fetch(url + path, { headers: { authorization: `Bearer ${key}` } });
  expect(response.status).toBe(200);
  return (await response.json()) as Part;
}

function idsOf({ connections }: Part): string[] {
  return connections.map(({ connection_id: id }) => id);
}

/** All ids of a list, and how many parts it took. */
async function through(path: string): Promise<{ ids: string[]; parts: number }> {
  const ids: string[] = [];
  let parts = 0;
  for (let next: string | undefined = ""; next !== undefined; parts += 1) {
    const { connections, next_cursor: cursor }: Part = await part(`${path}${next === "" ? "" : `&cursor=${next}`}`);
    ids.push(...connections.map(({ connection_id: id }) => id));
    next = cursor;
  }
  return { ids, parts };
}

const newestFirst = (count: number) => Array.from({ length: count }, (_, n) => `c${count - n}`);

describe("a cursor", () => {
  test.each([
    [1_000, 2],
    [401, 3],
    [1_203, 1],
    [1_202, 2],
  ])("with parts of %i gives each connection once, and ends", async (limit, parts) => {
    expect(await through(`/connections?limit=${limit}`)).toEqual({ ids: newestFirst(1_203), parts });
  });

  test("continues a filtered list", async () => {
    const { ids, parts } = await through("/connections?limit=200&tags[half]=1&integrationId=tool&search=C");
    expect([ids.length, new Set(ids).size, parts]).toEqual([602, 602, 4]);
  });

  test("goes on where it was, whatever was added and deleted meanwhile", async () => {
    const environment = await createEnvironment(api);
    await environment.nango.createIntegration({ provider: "none", unique_key: "n" });
    const connect = (id: string) => {
      const body = JSON.stringify({ provider_config_key: "n", connection_id: id, credentials: { type: "NONE" } });
      const headers = { "content-type": "application/json" };
      return ask(api, "/connections", environment.key, { method: "POST", headers, body });
    };
    for (const id of ["1", "2", "3", "4"]) await connect(id);
    const first = await part("/connections?limit=2", environment.key);
    await connect("5");
    await environment.nango.deleteConnection("n", "3");
    const second = await part(`/connections?limit=2&cursor=${first.next_cursor}`, environment.key);
    expect([idsOf(first), idsOf(second), second.next_cursor]).toEqual([["4", "3"], ["2", "1"], undefined]);
  });

  test("continues the list of deleted connections, and no other", async () => {
    const environment = await createEnvironment(api);
    await environment.nango.createIntegration({ provider: "none", unique_key: "n" });
    for (const id of ["1", "2", "3"]) {
      const body = JSON.stringify({ provider_config_key: "n", connection_id: id, credentials: { type: "NONE" } });
      await ask(api, "/connections", environment.key, {
        method: "POST",
        headers: { "content-type": "application/json" },
        body,
      });
    }
    // All in one instant.
    await environment.nango.deleteIntegration("n");
    const first = await part("/connections?deleted=true&limit=2", environment.key);
    const second = await part(`/connections?deleted=true&limit=2&cursor=${first.next_cursor}`, environment.key);
    const ids = [...first.connections, ...second.connections].map(({ connection_id: id }) => id);
    expect(ids.toSorted()).toEqual(["1", "2", "3"]);
    expect(second.next_cursor).toBeUndefined();
    expect((await ask(api, `/connections?cursor=${first.next_cursor}`, environment.key)).status).toBe(400);
  });

  test.each([
    "junk",
    "bnVsbA",
    Buffer.from('["1", "2", "3"]').toString("base64url"),
    Buffer.from('["01900000-0000-7000-8000-000000000001","9999-99-99 99:99:99+00"]').toString("base64url"),
    "x".repeat(300),
  ])("bad case 39: that is %s is 400", async (cursor) => {
    for (const path of ["/connections?", "/connections?deleted=true&", "/audit-events?"]) {
      const response = await ask(api, `${path}cursor=${cursor}`, shop.key);
      expect(response.status, path).toBe(400);
    }
  });

  test("and a page are refused together", async () => {
    const { next_cursor: cursor } = await part("/connections?limit=1");
    expect((await ask(api, `/connections?page=1&cursor=${cursor}`, shop.key)).status).toBe(400);
  });
});

test("pages count as the contract has them, over parts that are read one after the other", async () => {
  const page = await part("/connections?limit=700&page=1");
  expect(page.connections.map(({ connection_id: id }) => id)).toEqual(newestFirst(1_203).slice(700));
  expect((await part("/connections?limit=700&page=2")).connections).toEqual([]);
});

interface Event {
  readonly id: string;
  readonly time: string;
  readonly action: string;
  readonly actor: string;
  readonly target_id: string;
}

describe("GET /audit-events", () => {
  let audited: TestEnvironment;
  const list = async (search = "", key = audited.key) => {
    const response = await ask(api, `/audit-events${search}`, key);
    const body = (await response.json()) as { events: Event[]; next_cursor?: string };
    return { status: response.status, ...body };
  };

  beforeAll(async () => {
    audited = await createEnvironment(api);
    await audited.connection(await audited.integration("github"), "acme", { credentials: undefined });
    await audited.connection(await audited.integration("second"), "other");
    await audited.nango.getConnection("second", "other");
    await audited.nango.setMetadata("second", "other", { plan: "canary-value" });
  });

  test("gives who did what, newest first, without any value", async () => {
    const { status, events } = await list();
    expect(status).toBe(200);
    expect(events.map(({ action }) => action)).toEqual([
      "connection.updated",
      "connection.credentials-read",
      "connection.created",
      "integration.created",
      "connection.created",
      "integration.created",
      "environment.created",
    ]);
    expect(events[0]).toMatchObject({ actor_kind: "key", address: "127.0.0.1", fields: ["metadata"], occurrences: 1 });
    expect(JSON.stringify(events)).not.toContain("canary-value");
  });

  test("filters by time, actor, action, connection and target", async () => {
    const { events } = await list();
    const [newest, read] = events;
    const actions = async (search: string) => (await list(search)).events.map(({ action }) => action);
    expect(await actions("?action=connection.credentials-read")).toEqual(["connection.credentials-read"]);
    expect(await actions("?connectionId=acme")).toEqual(["connection.created"]);
    expect(await actions(`?actor=${read?.actor}`)).toEqual(["connection.updated", "connection.credentials-read"]);
    expect(await actions(`?targetId=${newest?.target_id}&action=connection.created`)).toEqual(["connection.created"]);
    expect(await actions(`?to=${events.at(-1)?.time}`)).toEqual([]);
    expect(await actions("?from=2020-01-01T00:00:00Z")).toHaveLength(events.length);
    expect(await actions("?from=2100-01-01T00:00:00%2B02:00")).toEqual([]);
  });

  test("is continued by a cursor", async () => {
    const { events } = await list();
    const first = await list("?limit=3");
    const rest = await list(`?limit=100&cursor=${first.next_cursor}`);
    expect([...first.events, ...rest.events]).toEqual(events);
    expect(rest.next_cursor).toBeUndefined();
  });

  test("tells of no other environment, and nothing to a key that is for some of the connections", async () => {
    const stranger = await createEnvironment(api);
    const { events } = await list();
    const told = await list(`?targetId=${events[0]?.target_id}`, stranger.key);
    expect(told.events).toEqual([]);
    const [key] = await audited.apiKeys({
      name: "some",
      scopes: ["audit_events:read"],
      connectionSelector: { team: "sales" },
    });
    expect((await list("", key)).status).toBe(403);
  });
});
