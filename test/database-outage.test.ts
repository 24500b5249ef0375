import { afterAll, expect, test } from "vitest";
import { type Application, applicationOf } from "./support/application.ts";
import { query } from "./support/database.ts";
import { eventually } from "./support/eventually.ts";
import { createInstallation } from "./support/keystead.ts";
import { kstatusOf } from "./support/kstatus.ts";
import { canary } from "./support/leaks.ts";
import { connection, environment, integration, secret } from "./support/resources.ts";
import { startSeverableProxy } from "./support/severable-proxy.ts";

// A database that is away costs time and nothing else: it is waited for, said, and caught up with.

const installation = await createInstallation("outage");
const { objects, database } = installation;
const { hostname, port } = new URL(database.url);
const wire = await startSeverableProxy({ host: hostname, port: Number(port) });
const parents = { environment: "production", integration: "stripe" };
const token = canary("token");
let application: Application;

afterAll(async () => {
  wire.mend();
  await installation[Symbol.asyncDispose]();
  await wire[Symbol.asyncDispose]();
});

function throughTheWire(): string {
  const url = new URL(database.url);
  url.port = String(wire.port);
  return url.href;
}

wire.sever();
const keystead = installation.start("run", { DATABASE_URL: throughTheWire() });
await objects.apply(
  environment("production"),
  integration("stripe", "production"),
  secret("acme", { token }),
  connection("acme", parents),
);

test("without a database at its start it waits, says so, is not ready, and serves nothing", async () => {
  await keystead.logged("the database cannot be used yet; trying again");

  const ready = await fetch(`${await keystead.metricsUrl()}/readyz`);
  expect(ready.status).toBe(503);
  expect(await ready.text()).toContain("the encryption key has not been proven against the database yet");
  expect((await fetch(`${await keystead.metricsUrl()}/livez`)).status, "a restart would not help").toBe(200);
  expect(keystead.output()).not.toContain("the API is served");
  expect(kstatusOf(await objects.get("connection/acme")), "nobody calls it done").toBe("InProgress");
});

test("when the database comes it goes on by itself", async () => {
  wire.mend();

  await objects.ready("environment/production", "integration/stripe", "connection/acme");
  expect((await fetch(`${await keystead.metricsUrl()}/readyz`)).status).toBe(200);
  application = await applicationOf(installation, keystead, "production");
  expect(await application.credentials("acme", "stripe")).toMatchObject({ apiKey: token });
});

test("in an outage reads are 503, what is Ready stays so, and what changes says what it waits for", async () => {
  wire.sever();
  expect(await application.credentials("acme", "stripe")).toBe(503);

  await objects.apply(secret("acme", { token: canary("changed") }), secret("new", { token: canary("new") }));
  await objects.apply(connection("new", parents));

  await objects.reach("connection/acme", "Ready=True Succeeded", "Reconciling=True DatabaseUnavailable");
  await objects.reach("connection/new", "Ready=Unknown DatabaseUnavailable", "Reconciling=True DatabaseUnavailable");
  expect(await objects.events("connection/acme"), "trouble of the installation is no event of each object").toEqual([]);
});

test("a deletion in an outage waits and says so", async () => {
  await objects.startDelete("connection/acme");

  const waiting = await eventually(async () => {
    const object = await objects.get("connection/acme");
    expect(object.metadata.deletionTimestamp).toBeDefined();
    expect(object.status?.observedGeneration, "the deletion is a generation").toBe(object.metadata.generation);
    return object;
  });
  expect(waiting.status?.conditions).toContainEqual(
    expect.objectContaining({ type: "Reconciling", reason: "DatabaseUnavailable" }),
  );
  expect(kstatusOf(waiting)).toBe("Terminating");
});

test("after the outage everything is caught up with, and nothing was done twice", async () => {
  wire.mend();

  await objects.ready("connection/new");
  await objects.delete("connection/acme");
  await eventually(async () => expect(await application.credentials("acme", "stripe")).toBe(404));
  expect(await application.credentials("new", "stripe")).toMatchObject({ type: "API_KEY" });
  const rows = await query(
    database.ownerUrl,
    `select connection_id, revision::int, deleted_at is not null as deleted from keystead.connections order by 1`,
  );
  expect(rows).toEqual([
    { connection_id: "acme", revision: expect.any(Number), deleted: true },
    { connection_id: "new", revision: 1, deleted: false },
  ]);
});
