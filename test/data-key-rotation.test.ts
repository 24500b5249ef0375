import { afterAll, beforeAll, expect, test } from "vitest";
import { type Application, applicationOf } from "./support/application.ts";
import { query } from "./support/database.ts";
import { eventually } from "./support/eventually.ts";
import { createInstallation } from "./support/keystead.ts";
import { canary } from "./support/leaks.ts";
import { conditionOf, connection, environment, integration, secret } from "./support/resources.ts";

// keystead.dev/rotate-data-key on an Environment: a new data key at once, the rest in the background.

/** Two turns of the worker. */
const PATIENCE_MS = 50_000;
const ANNOTATION = "keystead.dev/rotate-data-key";
const installation = await createInstallation("data-key");
const { objects, database } = installation;
const controller = installation.start("controller");
const api = installation.start("api");
const parents = { environment: "production", integration: "stripe" };
const token = canary("token");
let application: Application;

beforeAll(async () => {
  await objects.apply(
    environment("production", {}, { annotations: { [ANNOTATION]: "at creation" } }),
    integration("stripe", "production"),
    secret("acme", { token }),
    connection("acme", parents),
  );
  await objects.ready("connection/acme");
  application = await applicationOf(installation, api, "production");
});
afterAll(() => installation[Symbol.asyncDispose]());

test("bad case 15: the token that is there at creation counts as handled", async () => {
  const { status } = await objects.get("environment/production");
  expect(status).toMatchObject({ dataKey: { lastHandledRotation: "at creation" } });
  expect(await dataKeys()).toHaveLength(1);
});

test("bad case 15: a new token replaces the data key once, and everything is read all the while", async () => {
  const [before] = await dataKeys();
  await annotate("2026-11");
  await eventually(async () => {
    const { status } = await objects.get("environment/production");
    expect(status).toMatchObject({ dataKey: { lastHandledRotation: "2026-11" } });
  });
  const active = (await dataKeys()).find(({ state }) => state === "active");
  expect(active?.data_key_id).not.toBe(before?.data_key_id);
  expect(await application.credentials("acme", "stripe")).toMatchObject({ apiKey: token });

  const rotated = canary("rotated");
  await objects.apply(secret("acme", { token: rotated }));
  await eventually(async () => {
    expect(await application.credentials("acme", "stripe")).toMatchObject({ apiKey: rotated });
  });
  const [row] = await query(
    database.ownerUrl,
    "select keystead.data_key_of(credentials_sealed) as key from keystead.connections",
  );
  expect(row).toEqual({ key: active?.data_key_id });
});

test("the old data key is destroyed by a worker once nothing is under it, and everything is still read", async () => {
  await eventually(
    async () => {
      // A minute passes in the database.
      await query(database.ownerUrl, "update keystead.data_keys set unused_since = unused_since - interval '1 minute'");
      expect(await dataKeys()).toHaveLength(1);
    },
    { deadlineMs: PATIENCE_MS },
  );
  expect(await application.credentials("acme", "stripe")).toMatchObject({ type: "API_KEY" });
});

test("bad case 15: an empty token and a removed one ask for nothing; one that is too long stalls, and the rest is served", async () => {
  const [before] = await dataKeys();
  await annotate("");
  await objects.ready("environment/production");
  await annotate("x".repeat(2_000));
  const stalled = await objects.reach("environment/production", "Ready=True Succeeded", "Stalled=True InvalidToken");
  expect(conditionOf(stalled, "Stalled")?.message).toContain("1 to 1024 characters");
  expect(await application.credentials("acme", "stripe")).toMatchObject({ type: "API_KEY" });
  await annotate("2026-11");
  await objects.ready("environment/production");
  expect(await dataKeys()).toEqual([before]);
  expect(controller.running).toBe(true);
});

async function annotate(value: string): Promise<void> {
  await objects.apply(environment("production", {}, { annotations: { [ANNOTATION]: value } }));
}

async function dataKeys() {
  return query<{ data_key_id: string; state: string }>(
    database.ownerUrl,
    "select data_key_id, state from keystead.data_keys order by data_key_id",
  );
}
