import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, expect, test } from "vitest";
import { query } from "./support/database.ts";
import { insertDeletedConnections } from "./support/deleted-rows.ts";
import { eventually } from "./support/eventually.ts";
import { createInstallation } from "./support/keystead.ts";
import type { KeysteadProcess } from "./support/keystead-process.ts";
import { canary, readTables } from "./support/leaks.ts";
import { connection, environment, integration, secret } from "./support/resources.ts";
import { letTimePass } from "./support/time.ts";

// What was deleted is gone for good when its retention has ended, and by no clock but the database's.

const installation = await createInstallation("purge");
const { objects, database } = installation;
const controller = installation.start("controller");
const token = canary("token");
const parents = { environment: "production", integration: "stripe" };

beforeAll(async () => {
  await objects.apply(
    secret("acme", { token }),
    environment("production"),
    integration("stripe", "production"),
    ...["early", "due", "alive"].map((name) => connection(name, parents, credentials)),
  );
  await objects.ready("connection/early", "connection/due", "connection/alive");
});
afterAll(() => installation[Symbol.asyncDispose]());

const credentials = { credentials: { apiKey: { apiKeyRef: { name: "acme", key: "token" } } } };

/** Connection ids of the rows that are there, deleted or not. */
async function rows(): Promise<string[]> {
  const found = await query<{ connection_id: string }>(
    database.ownerUrl,
    "select connection_id from keystead.connections order by 1",
  );
  return found.map(({ connection_id }) => connection_id);
}

/** Resolves when the purger of the process has had a turn. */
async function turnOf(process: KeysteadProcess): Promise<string> {
  const url = `${await process.metricsUrl()}/metrics`;
  return eventually(async () => {
    const text = await (await fetch(url)).text();
    expect(text).toMatch(/^keystead_worker_runs_total\{worker="purger",result="success"\} [1-9]/m);
    return text;
  });
}

test("bad case 33: a process whose clock is a year ahead purges what is due by the database's clock, and nothing else", async () => {
  await objects.delete("connection/due");
  await letTimePass(database.ownerUrl, "31 days");
  await objects.delete("connection/early");
  const ahead = fileURLToPath(new URL("support/a-year-ahead.ts", import.meta.url));
  await using api = installation.start("api", { NODE_OPTIONS: `--import=${ahead}` });
  const line = await api.logged("the API is served");
  expect(Date.parse(String(line["time"])), "its clock is ahead").toBeGreaterThan(Date.now() + 300 * 86_400_000);

  await turnOf(api);
  expect(await rows()).toEqual(["alive", "early"]);
});

test("bad case 35: after the purge of an environment no table and no metric knows anything of it but the audit's ids", async () => {
  const { status } = await objects.get("environment/production");
  const environmentId = String(status?.["environmentId"]);
  await objects.delete("connection/alive", "integration/stripe", "environment/production");
  await letTimePass(database.ownerUrl, "31 days");
  await using api = installation.start("api");

  await turnOf(api);
  expect(await rows()).toEqual([]);
  // The controller purges as well, whoever is there first.
  const metrics = await Promise.all([api, controller].map((process) => turnOf(process)));
  const purged = metrics.map((text) =>
    Number(/^keystead_purged_rows_total\{kind="environment"\} (\d)$/m.exec(text)?.[1]),
  );
  expect(purged.toSorted((a, b) => a - b)).toEqual([0, 1]);
  for (const text of metrics) {
    for (const trace of [environmentId, "production", "stripe", "alive"]) expect(text).not.toContain(trace);
  }
  const places = (await readTables(database.ownerUrl)).filter(({ text }) => text.includes(environmentId));
  expect(places.map(({ name }) => name)).toEqual(["keystead.audit_events"]);
});

test("what the next 7 days will purge is in a metric of every process", async () => {
  await objects.apply(environment("short", { retention: "6d" }));
  await objects.ready("environment/short");
  await objects.delete("environment/short");
  await using api = installation.start("api");
  const metrics = await turnOf(api);
  expect(metrics).toMatch(/^keystead_purge_upcoming_rows\{kind="environment"\} 1$/m);
  expect(metrics).toMatch(/^keystead_purge_upcoming_rows\{kind="connection"\} 0$/m);
});

test(
  "a process that is told to end in the middle of a purge ends in good order, and the next one finishes it",
  { timeout: 120_000 },
  async () => {
    await objects.apply(environment("large"), integration("large", "large"));
    await objects.ready("integration/large");
    await insertDeletedConnections(database.ownerUrl, 3_000);
    const total = (await rows()).length;
    await using first = installation.start("api");
    await eventually(async () => expect((await rows()).length).toBeLessThan(total));
    expect(await first.end("SIGTERM")).toBe(0);
    const left = (await rows()).length;
    expect(left).toBeGreaterThan(0);
    expect(first.output()).not.toContain("cut off");

    installation.start("api");
    // It leaves four fifths of the time to others, and on a busy machine that is long.
    await eventually(async () => expect(await rows()).toEqual([]), { deadlineMs: 90_000 });
  },
);
