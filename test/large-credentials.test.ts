import { expect, test } from "vitest";
import { ask, createEnvironment, startTestApi, type TestApi } from "./support/api-server.ts";
import { query } from "./support/database.ts";

// A credential may have 720 KB. Whoever reads many of them at once must not be in the way of those who read small ones.

const LARGE = "/connections/large?provider_config_key=github";
const SMALL = "/connections/small?provider_config_key=github";

/** As large as a Secret of 1 MiB can make it: its values are base64 there. */
const value = "x".repeat(720 * 1024);

async function startWithBoth() {
  const api = await startTestApi();
  const [heavy, light] = [await createEnvironment(api), await createEnvironment(api)];
  const credentials = { type: "CUSTOM", value: { type: "CUSTOM", certificate: value } } as const;
  await heavy.connection(await heavy.integration("github"), "large", { credentials });
  await light.connection(await light.integration("github"), "small");
  return { api, heavy, light, [Symbol.asyncDispose]: () => api[Symbol.asyncDispose]() };
}

async function recordedReads(api: TestApi, environmentId: string): Promise<number | undefined> {
  const [row] = await query<{ reads: number }>(
    api.database.ownerUrl,
    "select sum(occurrences)::int as reads from keystead.audit_events where action = 'connection.credentials-read' and environment_id = $1",
    [environmentId],
  );
  return row?.reads;
}

test("a credential of 720 KB is given whole as often as it is asked for, and each time is recorded", async () => {
  await using started = await startWithBoth();
  const { api, heavy } = started;
  const answers = await Promise.all(Array.from({ length: 10 }, () => ask(api, LARGE, heavy.key)));
  for (const answer of answers) {
    expect(await answer.json()).toMatchObject({ credentials: { type: "CUSTOM", certificate: value } });
  }
  expect(await recordedReads(api, heavy.id)).toBe(10);
});

test("another tenant's small credential passes by large ones that were asked for before", async () => {
  await using started = await startWithBoth();
  const { api, heavy, light } = started;
  let unanswered = 30;
  const large = Array.from({ length: unanswered }, async () => {
    const answer = await ask(api, LARGE, heavy.key);
    await answer.arrayBuffer();
    unanswered -= 1;
    return answer.status;
  });
  for (let read = 0; read < 3; read += 1) expect((await ask(api, SMALL, light.key)).status).toBe(200);
  expect(unanswered).toBeGreaterThan(15);
  expect(new Set(await Promise.all(large))).toEqual(new Set([200]));
  expect(await recordedReads(api, heavy.id)).toBe(30);
});

test("a key without credentials gets the rest of a large connection, and the event says so", async () => {
  await using started = await startWithBoth();
  const { api, heavy } = started;
  const [key = ""] = await heavy.apiKeys({ name: "reader", scopes: ["connections:read"] });
  const answer = await (await ask(api, LARGE, key)).json();
  expect(answer).toMatchObject({ connection_id: "large" });
  expect(answer).not.toHaveProperty("credentials");
  const events = await query(
    api.database.ownerUrl,
    "select action from keystead.audit_events where action like 'connection.%read'",
  );
  expect(events).toEqual([{ action: "connection.read" }]);
});
