import { afterAll, beforeAll, expect, test } from "vitest";
import { ask, createEnvironment, startTestApi, type TestApi, type TestEnvironment } from "./support/api-server.ts";
import { query } from "./support/database.ts";

// Integrations that were deleted over the API, and come back over it with their connections.

let api: TestApi;
let shop: TestEnvironment;
beforeAll(async () => {
  api = await startTestApi();
  shop = await createEnvironment(api);
});
afterAll(() => api[Symbol.asyncDispose]());

interface Answer {
  readonly status: number;
  readonly body: Readonly<Record<string, unknown>>;
}

async function send(
  method: string,
  path: string,
  { body, key = shop.key }: { readonly body?: object; readonly key?: string } = {},
): Promise<Answer> {
  const headers = { "content-type": "application/json" };
  const response = await ask(api, path, key, { method, headers, ...(body && { body: JSON.stringify(body) }) });
  return { status: response.status, body: (await response.json()) as Answer["body"] };
}

const codeOf = ({ status, body }: Answer) => [status, (body["error"] as { code?: string } | undefined)?.code];
const make = (name: string) => send("POST", "/integrations", { body: { provider: "api-key", unique_key: name } });
const put = (name: string, id: string) =>
  send("POST", "/connections", {
    body: { provider_config_key: name, connection_id: id, credentials: { type: "API_KEY", apiKey: `of-${id}` } },
  });
const remove = (name: string) => send("DELETE", `/integrations/${name}`);
const restore = (name: string) => send("POST", `/integrations/${name}/restore`);
const read = (name: string, id: string) => send("GET", `/connections/${id}?provider_config_key=${name}`);

/** What was done with the connection of that id, oldest first. */
async function actionsOn(id: string): Promise<string[]> {
  const events = await query<{ action: string }>(
    api.database.ownerUrl,
    `select action from keystead.audit_events
      where target_id in (select connection_row_id from keystead.connections where connection_id = $1) order by event_id`,
    [id],
  );
  return events.map(({ action }) => action);
}

test("a deleted integration comes back with the connections that went with it, as they were", async () => {
  await make("crm");
  await put("crm", "crm-before");
  await send("DELETE", "/connections/crm-before?provider_config_key=crm");
  await put("crm", "crm-with");
  const before = (await read("crm", "crm-with")).body;
  await remove("crm");
  expect(await restore("crm")).toEqual({ status: 200, body: { success: true } });
  expect((await read("crm", "crm-with")).body).toEqual({ ...before, updated_at: expect.any(String) });
  expect(codeOf(await read("crm", "crm-before")), "was deleted before it").toEqual([404, "not_found"]);
  expect(await actionsOn("crm-with")).toEqual([
    "connection.created",
    "connection.credentials-read",
    "connection.deleted",
    "connection.restored",
    "connection.credentials-read",
  ]);
  const recorded = await query(
    api.database.ownerUrl,
    `select action, actor_kind from keystead.audit_events
      where target_id in (select integration_id from keystead.integrations where unique_key = 'crm') order by event_id`,
  );
  expect(recorded).toEqual(
    ["created", "deleted", "restored"].map((what) => ({ action: `integration.${what}`, actor_kind: "key" })),
  );
});

test("of deleted integrations of one name the one that was deleted last comes back", async () => {
  for (const id of ["wiki-1", "wiki-2"]) {
    await make("wiki");
    await put("wiki", id);
    await remove("wiki");
  }
  await restore("wiki");
  expect([(await read("wiki", "wiki-1")).status, (await read("wiki", "wiki-2")).status]).toEqual([404, 200]);
  await remove("wiki");
});

test("a deleted integration does not come back while its name is in use, nor after its retention, nor if it never was", async () => {
  await make("chat");
  await remove("chat");
  await make("chat");
  expect(codeOf(await restore("chat"))).toEqual([409, "restore_conflict"]);
  await remove("chat");
  await query(
    api.database.ownerUrl,
    "update keystead.integrations set deleted_at = deleted_at - interval '1 hour' where unique_key = 'chat'",
  );
  expect(codeOf(await restore("chat"))).toEqual([404, "restore_not_found"]);
  expect(codeOf(await restore("nobody"))).toEqual([404, "restore_not_found"]);
  await make("alive");
  expect(codeOf(await restore("alive")), "is alive").toEqual([404, "restore_not_found"]);
});

test("of many that ask for it at once one is told that it is back", async () => {
  await make("race");
  await remove("race");
  const answers = await Promise.all([restore("race"), restore("race"), restore("race"), make("race")]);
  expect(answers.filter(({ status }) => status === 200)).toHaveLength(1);
  expect(answers.filter(({ status }) => status >= 500)).toEqual([]);
});

test("bad case 9: a deleted integration of another environment is not found", async () => {
  await make("secret-tool");
  await remove("secret-tool");
  const other = await createEnvironment(api);
  expect(codeOf(await send("POST", "/integrations/secret-tool/restore", { key: other.key }))).toEqual([
    404,
    "restore_not_found",
  ]);
});
