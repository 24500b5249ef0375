import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { ask, createEnvironment, startTestApi, type TestApi, type TestEnvironment } from "./support/api-server.ts";
import { query } from "./support/database.ts";

// What the public client has no method for: deleted connections, restoring and erasing them, keys with a selector, the
// deprecated names, and what is recorded of a change.

let api: TestApi;
let shop: TestEnvironment;
beforeAll(async () => {
  api = await startTestApi();
  shop = await createEnvironment(api);
  await shop.nango.createIntegration({ provider: "api-key", unique_key: "tool" });
});
afterAll(() => api[Symbol.asyncDispose]());

interface Answer {
  readonly status: number;
  readonly body: Readonly<Record<string, unknown>>;
}

async function send(method: string, path: string, body?: unknown, key = shop.key): Promise<Answer> {
  const headers = { "content-type": "application/json" };
  const init = body === undefined ? { method, headers } : { method, headers, body: JSON.stringify(body) };
  const response = await ask(api, path, key, init);
  return { status: response.status, body: (await response.json()) as Answer["body"] };
}

const connect = (id: string, more: object = {}, key = shop.key) =>
  send(
    "POST",
    "/connections",
    { provider_config_key: "tool", connection_id: id, credentials: apiKey("k"), ...more },
    key,
  );
const apiKey = (text: string) => ({ type: "API_KEY", apiKey: text });
const at = (id: string, rest = "") => `/connections/${id}?provider_config_key=tool${rest}`;
const codeOf = ({ status, body }: Answer) => [status, (body["error"] as { code?: string } | undefined)?.code];

interface Listed {
  readonly id: number;
  readonly connection_id: string;
  readonly deletedAt: string;
  readonly purgeAt: string;
}

async function deletedOnes(id: string, key = shop.key): Promise<Listed[]> {
  const { body } = await send("GET", `/connections?deleted=true&connectionId=${id}`, undefined, key);
  return body["connections"] as Listed[];
}

interface Event {
  readonly action: string;
  readonly actor_kind: string;
  readonly address: string | null;
  readonly fields: string[];
}

/** What was recorded about connections of that id, oldest first. */
function events(id: string): Promise<Event[]> {
  return query<Event>(
    api.database.ownerUrl,
    `select action, actor_kind, address, fields from keystead.audit_events
      where target_id in (select connection_row_id from keystead.connections where connection_id = $1) order by event_id`,
    [id],
  );
}

test("each change is one event of the key, with the names of what changed and nothing of its value", async () => {
  await connect("recorded", { metadata: { a: 1 } });
  await connect("recorded", { connection_config: { b: 2 } });
  await send("PATCH", at("recorded"), { tags: { c: "3" }, end_user: { id: "4" } });
  await send("PATCH", at("recorded"), {});
  await send("POST", "/connections/metadata", { provider_config_key: "tool", connection_id: "recorded", metadata: {} });
  await send("DELETE", at("recorded"));
  await send("POST", `/connections/recorded/restore?provider_config_key=tool`);
  const recorded = await events("recorded");
  expect(recorded.map(({ action, fields }) => [action, fields.join(" ")])).toEqual([
    ["connection.created", ""],
    ["connection.updated", "credentials config"],
    ["connection.updated", "tags end_user"],
    ["connection.updated", "metadata"],
    ["connection.deleted", ""],
    ["connection.restored", ""],
  ]);
  expect(new Set(recorded.map(({ actor_kind: kind, address }) => `${kind} ${address}`))).toEqual(
    new Set(["key 127.0.0.1"]),
  );
});

describe("deleted connections", () => {
  test("are listed with the instants of their deletion and their end, and come back as they were", async () => {
    await connect("back", { metadata: { plan: "pro" }, tags: { team: "sales" } });
    const before = (await send("GET", at("back"))).body;
    await send("DELETE", at("back"));
    const [listed] = await deletedOnes("back");
    expect(listed).toMatchObject({ id: before["id"], connection_id: "back", metadata: { plan: "pro" } });
    const retention = Date.parse(listed?.purgeAt ?? "") - Date.parse(listed?.deletedAt ?? "");
    expect(retention).toBe(3_600_000);

    const restored = await send("POST", "/connections/back/restore?provider_config_key=tool");
    expect(restored).toEqual({ status: 200, body: { success: true } });
    expect((await send("GET", at("back"))).body).toEqual({ ...before, updated_at: expect.any(String) });
    expect(await deletedOnes("back")).toEqual([]);
  });

  test("of one id are told apart by their own id; the one deleted last is meant without it", async () => {
    for (const text of ["first", "second", "third"]) {
      await connect("again", { credentials: apiKey(text) });
      await send("DELETE", at("again"));
    }
    const [third, second, first] = await deletedOnes("again");
    expect(await send("DELETE", at("again", `&purge=true&id=${second?.id}`))).toMatchObject({ status: 200 });
    expect((await deletedOnes("again")).map(({ id }) => id)).toEqual([third?.id, first?.id]);
    await send("POST", `/connections/again/restore?provider_config_key=tool&id=${first?.id}`);
    expect((await send("GET", at("again"))).body).toMatchObject({ id: first?.id, credentials: apiKey("first") });
  });

  test("cannot come back while their id is in use, nor after their retention", async () => {
    await connect("late");
    await send("DELETE", at("late"));
    await connect("late");
    const restore = () => send("POST", "/connections/late/restore?provider_config_key=tool");
    expect(codeOf(await restore())).toEqual([409, "restore_conflict"]);
    await send("DELETE", at("late", "&purge=true"));
    await query(
      api.database.ownerUrl,
      "update keystead.connections set deleted_at = deleted_at - interval '1 hour' where connection_id = 'late'",
    );
    expect(codeOf(await restore())).toEqual([404, "restore_not_found"]);
    expect(await deletedOnes("late")).toEqual([]);
  });

  test("of a resource are listed, and restored by the resource only", async () => {
    const declared = await shop.integration("declared");
    const connection = await shop.connection(declared, "theirs");
    await connection.remove();
    expect(await deletedOnes("theirs")).toHaveLength(1);
    const restored = await send("POST", "/connections/theirs/restore?provider_config_key=declared");
    expect(codeOf(restored)).toEqual([409, "managed_by_resource"]);
  });

  test("restoring what is alive, what never was, or in an integration that is gone, is refused", async () => {
    await connect("alive");
    for (const [path, status, code] of [
      ["/connections/alive/restore?provider_config_key=tool", 404, "restore_not_found"],
      ["/connections/nobody/restore?provider_config_key=tool", 404, "restore_not_found"],
      ["/connections/alive/restore?provider_config_key=nobody", 400, "unknown_provider_config"],
    ] as const) {
      expect(codeOf(await send("POST", path))).toEqual([status, code]);
    }
  });
});

function rowsOf(id: string): Promise<{ id: string }[]> {
  return query(
    api.database.ownerUrl,
    "select connection_row_id as id from keystead.connections where connection_id = $1",
    [id],
  );
}

describe("purge=true", () => {
  test("erases a living connection at once, and the event stays", async () => {
    await connect("erased");
    const [row] = await rowsOf("erased");
    expect((await send("DELETE", at("erased", "&purge=true"))).body).toEqual({ success: true });
    expect(await rowsOf("erased")).toEqual([]);
    const left = await query<{ action: string }>(
      api.database.ownerUrl,
      "select action from keystead.audit_events where target_id = $1 order by event_id",
      [row?.id],
    );
    expect(left.map(({ action }) => action)).toEqual(["connection.created", "connection.purged"]);
    expect(codeOf(await send("DELETE", at("erased", "&purge=true")))).toEqual([400, "unknown_connection"]);
  });

  test("erases what a resource managed and what lies in a deleted integration", async () => {
    await shop.nango.createIntegration({ provider: "api-key", unique_key: "gone" });
    await connect("inside", { provider_config_key: "gone" });
    await shop.nango.deleteIntegration("gone");
    expect(await send("DELETE", "/connections/inside?provider_config_key=gone&purge=true")).toMatchObject({
      status: 200,
    });
    expect(await rowsOf("inside")).toEqual([]);

    const theirs = await shop.connection(await shop.integration("purged"), "was-managed");
    const path = "/connections/was-managed?provider_config_key=purged&purge=true";
    expect(codeOf(await send("DELETE", path))).toEqual([409, "managed_by_resource"]);
    await theirs.remove();
    expect(await send("DELETE", path)).toMatchObject({ status: 200 });
    expect(await rowsOf("was-managed")).toEqual([]);
  });

  test("goes with an id, and an id with nothing else", async () => {
    await connect("with-id");
    expect(codeOf(await send("DELETE", at("with-id", "&id=1")))).toEqual([400, "invalid_query_params"]);
    expect(codeOf(await send("DELETE", at("with-id", "&purge=true&id=1")))).toEqual([400, "unknown_connection"]);
    expect((await send("GET", at("with-id"))).status).toBe(200);
  });
});

describe("a key with a selector", () => {
  let sales: string;
  beforeAll(async () => {
    const scopes = [
      "connections:list",
      "connections:read_credentials",
      "connections:create",
      "connections:update",
      "connections:delete",
      "integrations:create",
      "integrations:delete",
    ] as const;
    [sales = ""] = await shop.apiKeys({ name: "sales", scopes, connectionSelector: { team: "sales" } });
    await connect("of-support", { tags: { team: "support" }, metadata: { plan: "pro" } });
  });

  test("makes and changes connections of its own, and cannot let go of them", async () => {
    expect(codeOf(await connect("of-sales", { tags: {} }, sales))).toEqual([403, "forbidden"]);
    expect((await connect("of-sales", { tags: { team: "sales" } }, sales)).status).toBe(201);
    expect(codeOf(await send("PATCH", at("of-sales"), { tags: { team: "support" } }, sales))).toEqual([
      403,
      "forbidden",
    ]);
    expect((await send("PATCH", at("of-sales"), { tags: { team: "sales", tier: "1" } }, sales)).status).toBe(200);
  });

  test("changes, erases and restores nothing that does not exist for it", async () => {
    expect(codeOf(await connect("of-support", { tags: { team: "sales" } }, sales))).toEqual([
      409,
      "connection_id_in_use",
    ]);
    expect(codeOf(await send("PATCH", at("of-support"), { tags: {} }, sales))).toEqual([404, "not_found"]);
    const metadata = { provider_config_key: "tool", connection_id: "of-support", metadata: {} };
    expect(codeOf(await send("POST", "/connections/metadata", metadata, sales))).toEqual([404, "unknown_connection"]);
    expect(codeOf(await send("DELETE", at("of-support"), undefined, sales))).toEqual([400, "unknown_connection"]);
    expect(codeOf(await send("DELETE", at("of-support", "&purge=true"), undefined, sales))).toEqual([
      400,
      "unknown_connection",
    ]);
    expect((await send("GET", at("of-support"))).body).toMatchObject({ metadata: { plan: "pro" } });
    await send("DELETE", at("of-support"));
    expect(await deletedOnes("of-support", sales)).toEqual([]);
    const restored = await send("POST", "/connections/of-support/restore?provider_config_key=tool", undefined, sales);
    expect(codeOf(restored)).toEqual([404, "restore_not_found"]);
  });

  test("deletes no integration and restores none, for their connections would go and come along", async () => {
    await shop.nango.createIntegration({ provider: "api-key", unique_key: "shared" });
    await connect("shared-by-support", { provider_config_key: "shared", tags: { team: "support" } });
    const read = () => send("GET", "/connections/shared-by-support?provider_config_key=shared");
    expect(codeOf(await send("DELETE", "/integrations/shared", undefined, sales))).toEqual([403, "forbidden"]);
    expect((await read()).status).toBe(200);
    expect((await send("DELETE", "/integrations/shared")).status).toBe(200);
    expect(codeOf(await send("POST", "/integrations/shared/restore", undefined, sales))).toEqual([403, "forbidden"]);
    expect((await read()).status).toBe(400);
    for (const [method, path] of [
      ["DELETE", "/integrations/none"],
      ["POST", "/integrations/none/restore"],
    ] as const)
      expect(codeOf(await send(method, path, undefined, sales)), "whether or not it exists").toEqual([
        403,
        "forbidden",
      ]);
  });
});

test("a key without read_credentials makes a connection and is not shown its credentials", async () => {
  const [key = ""] = await shop.apiKeys({ name: "writer", scopes: ["connections:create"] });
  const { status, body } = await connect("written", {}, key);
  expect(status).toBe(201);
  expect(body).not.toHaveProperty("credentials");
  expect((await send("GET", at("written"))).body).toMatchObject({ credentials: apiKey("k") });
});

test("a key that may not read is shown what it sent, and nothing of what is stored from before", async () => {
  const [writer = "", reader = ""] = await shop.apiKeys(
    { name: "writer", scopes: ["connections:create"] },
    { name: "reader", scopes: ["connections:create", "connections:read"] },
  );
  const stored = {
    connection_config: { subdomain: "acme" },
    metadata: { plan: "pro" },
    tags: { team: "sales" },
    end_user: { id: "u-1", email: "one@acme.example" },
  };
  await connect("kept", stored);
  const blind = await connect("kept", {}, writer);
  expect(blind.status).toBe(201);
  expect(blind.body).toMatchObject({ connection_config: {}, metadata: null, tags: {}, end_user: null });
  const sent = await connect("kept", { metadata: { plan: "basic" } }, writer);
  expect(sent.body).toMatchObject({ connection_config: {}, metadata: { plan: "basic" }, tags: {}, end_user: null });
  const seen = await connect("kept", {}, reader);
  expect(seen.body, "nothing of it was lost").toMatchObject({
    connection_config: { subdomain: "acme" },
    metadata: { plan: "basic" },
    tags: { team: "sales" },
    end_user: { id: "u-1" },
  });
});

test("metadata that a resource does not declare belongs to the API, and what the resource declares stays its own", async () => {
  const connection = await shop.connection(await shop.integration("half"), "half", { tags: { team: "sales" } });
  await shop.nango.setMetadata("half", "half", { plan: "pro" });
  await connection.change({ tags: { team: "support" } });
  expect(await shop.nango.getConnection("half", "half")).toMatchObject({
    tags: { team: "support" },
    metadata: { plan: "pro" },
  });
  await connection.change({ metadata: { plan: "declared" } });
  const refused = { provider_config_key: "half", connection_id: "half", metadata: {} };
  expect(codeOf(await send("POST", "/connections/metadata", refused))).toEqual([409, "managed_by_resource"]);
});

test("metadata cannot grow without end by being merged", async () => {
  await connect("growing");
  const change = { provider_config_key: "tool", connection_id: "growing" };
  const long = "x".repeat(600_000);
  const once = await send("PATCH", "/connections/metadata", { ...change, metadata: { one: long } });
  expect(once.status).toBe(200);
  const twice = await send("PATCH", "/connections/metadata", { ...change, metadata: { two: long } });
  expect(codeOf(twice)).toEqual([400, "invalid_body"]);
  expect(Object.keys(await shop.nango.getMetadata("tool", "growing"))).toEqual(["one"]);
});

test("of many that make one connection at once all are answered 201, and there is one", async () => {
  const answers = await Promise.all(Array.from({ length: 12 }, (_, n) => connect("raced", { metadata: { n } })));
  expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([201]));
  expect(new Set(answers.map(({ body }) => body["id"])).size).toBe(1);
});

test("the deprecated names take the same", async () => {
  const body = { provider_config_key: "tool", connection_id: "older", credentials: apiKey("k"), metadata: { a: 1 } };
  expect((await send("POST", "/connection", body)).status).toBe(201);
  const older = "/connection/older?provider_config_key=tool";
  expect((await send("GET", older)).body).toMatchObject({ metadata: { a: 1 } });
  const change = { provider_config_key: "tool", connection_id: "older", metadata: { b: 2 } };
  expect((await send("PATCH", "/connection/metadata", change)).status).toBe(200);
  const init = {
    method: "POST",
    headers: { "provider-config-key": "tool", "content-type": "application/json" },
    body: '{"c":3}',
  };
  const legacy = await ask(api, "/connection/older/metadata", shop.key, init);
  expect([legacy.status, await legacy.json()]).toEqual([201, { c: 3 }]);
  expect((await send("GET", older)).body).toMatchObject({ metadata: { c: 3 } });
  const nameless = await send("POST", "/connection/older/metadata", {});
  expect(codeOf(nameless)).toEqual([400, "invalid_headers"]);
  expect((await send("DELETE", older)).body).toEqual({ success: true });
});

test.each([
  ["no JSON", "{", "application/json", 400, "invalid_json"],
  ["JSON that nests 100,000 deep", "[".repeat(100_000), "application/json", 400, "invalid_json"],
  ["another type", "a=b", "application/x-www-form-urlencoded", 415, "invalid_content_type"],
  ["no body", "", "application/json", 400, "invalid_body"],
  ["an array where an object is due", "[]", "application/json", 400, "invalid_body"],
])("a body that is %s is refused", async (_case, body, type, status, code) => {
  const response = await ask(api, "/connections", shop.key, {
    method: "POST",
    headers: { "content-type": type },
    body,
  });
  expect(codeOf({ status: response.status, body: (await response.json()) as Answer["body"] })).toEqual([status, code]);
});

test("whoever has no key is refused before the body is looked at", async () => {
  const response = await ask(api, "/connections", undefined, { method: "POST", body: "{" });
  expect([response.status, response.headers.get("www-authenticate")]).toEqual([401, 'Bearer realm="keystead"']);
});
