import { afterAll, beforeAll, expect, inject, test } from "vitest";
import { loadIdentity } from "../src/kube/identity.ts";
import { startApiServerProxy } from "./support/api-server-proxy.ts";
import { type Application, applicationOf } from "./support/application.ts";
import { query } from "./support/database.ts";
import { eventually } from "./support/eventually.ts";
import { startHoldingProxy } from "./support/holding-proxy.ts";
import { createInstallation } from "./support/keystead.ts";
import type { KeysteadProcess } from "./support/keystead-process.ts";
import { canary } from "./support/leaks.ts";
import { connection, environment, integration, secret } from "./support/resources.ts";

// A leader is frozen in the middle of a write, another one takes over, and what the first sent arrives afterwards.

const installation = await createInstallation("frozen");
const { objects, database } = installation;
const parents = { environment: "production", integration: "stripe" };

const { hostname: host, port } = new URL(database.url);
const wire = await startHoldingProxy({ host, port: Number(port) });
const throughWire = new URL(database.url);
throughWire.port = String(wire.port);

const api = installation.start("api");
let application: Application;

beforeAll(async () => {
  const controller = installation.start("controller");
  await objects.apply(environment("production"), integration("stripe", "production"));
  await objects.ready("environment/production", "integration/stripe");
  application = await applicationOf(installation, api, "production");
  await controller.end();
});
afterAll(async () => {
  await installation[Symbol.asyncDispose]();
  await wire[Symbol.asyncDispose]();
});

/** A controller whose writes can be held up on their way. */
function startOnWire(settings: Readonly<Record<string, string>> = {}): KeysteadProcess {
  return installation.start("controller", { DATABASE_URL: throughWire.href, ...settings });
}

const LEASE = "lease/keystead-controller";

/** Asks for a new secret key. */
function rotate(name: string, token: string): Promise<void> {
  return objects.apply(environment(name, {}, { annotations: { "keystead.dev/rotate-secret-key": token } }));
}

async function rotated(name: string, token: string): Promise<void> {
  await eventually(async () => {
    const { status } = await objects.get(`environment/${name}`);
    expect(status).toMatchObject({ secretKey: { lastHandledRotation: token } });
  });
}

/** How often the secret key of an Environment was rotated, and how many keys of it are kept. */
async function rotationsOf(name: string): Promise<object | undefined> {
  const [counted] = await query(
    database.ownerUrl,
    `select (select count(*)::int from keystead.audit_events a
              where a.environment_id = e.environment_id and a.action = 'secret-key.rotated') as rotations,
            (select count(*)::int from keystead.secret_keys k where k.environment_id = e.environment_id) as keys
       from keystead.environments e where e.name = $1`,
    [name],
  );
  return counted;
}

function rowsOf(connectionId: string): Promise<object[]> {
  return query(
    database.ownerUrl,
    `select connection_row_id, revision, deleted_at is not null as deleted from keystead.connections where connection_id = $1`,
    [connectionId],
  );
}

test("a row that a frozen leader was adding does not appear after its Connection was deleted under the next leader", async () => {
  const frozen = startOnWire();
  await frozen.logged("Leading");
  const successor = installation.start("controller");
  await successor.logged("the API server answers");

  const adding = wire.hold("insert into keystead.connections");
  await objects.apply(secret("late", { token: canary("late") }), connection("late", parents));
  await adding.arrived;
  process.kill(frozen.pid, "SIGSTOP");

  // 15 s after the last renewal.
  await successor.logged("Leading");
  await objects.ready("connection/late");
  await objects.delete("connection/late");
  const left = await rowsOf("late");
  expect(left).toMatchObject([{ deleted: true }]);

  await adding.deliver();
  expect(await rowsOf("late")).toEqual(left);
  expect(await frozen.end("SIGCONT")).toBe(1);
  expect(frozen.output()).toContain("leadership_lost");
  expect(await rowsOf("late")).toEqual(left);
  expect(await application.credentials("late", "stripe")).toBe(404);

  // The other leads on as if nothing had been.
  await objects.apply(secret("next", { token: canary("next") }), connection("next", parents));
  await objects.ready("connection/next");
  expect(await successor.end()).toBe(0);
});

test("a value that a frozen controller was storing does not win over the one that its Secret has by now", async () => {
  const alone = { KEYSTEAD_LEADER_ELECTION: "false" };
  const [first, second] = [canary("first"), canary("second")];
  const frozen = startOnWire(alone);
  await frozen.logged("the reign has begun");
  await objects.apply(secret("acme", { token: first }), connection("acme", parents));
  await objects.ready("connection/acme");

  const storing = wire.hold("update keystead.connections");
  await objects.apply(secret("acme", { token: second }));
  await storing.arrived;
  process.kill(frozen.pid, "SIGSTOP");

  // The row says what the Secret says again, so its revision stays what the frozen one knows.
  await objects.apply(secret("acme", { token: first }));
  const successor = installation.start("controller", alone);
  await successor.logged("caught up with what was there at the start");

  await storing.deliver();
  expect(await application.credentials("acme", "stripe")).toEqual({ type: "API_KEY", apiKey: first });
  process.kill(frozen.pid, "SIGCONT");
  // Should its own clock have given the statement up in the meantime, it ends at the next one.
  const last = await eventually(async () => {
    const token = canary("last");
    await objects.apply(secret("acme", { token }));
    expect(frozen.running).toBe(false);
    return token;
  });
  expect(await frozen.exit).toBe(1);
  expect(frozen.output()).toMatch(
    /reign \d+ of release keystead is over: .+ took over with reign \d+.*leadership_lost/,
  );
  expect(successor.running).toBe(true);
  await eventually(async () =>
    expect(await application.credentials("acme", "stripe")).toEqual({ type: "API_KEY", apiKey: last }),
  );
});

test.each([
  { moment: "before it held its reign", held: "select keystead.hold_reign" },
  { moment: "in the middle of its transaction", held: "insert into keystead.secret_keys" },
])(
  "bad case 25: of a rotation during which a leader was frozen $moment nothing is left, and the next leader rotates once",
  { timeout: 120_000 },
  async ({ held }) => {
    const name = held.includes("insert") ? "middle" : "early";
    const frozen = startOnWire();
    await frozen.logged("Leading");
    const successor = installation.start("controller");
    await successor.logged("the API server answers");
    await objects.apply(environment(name));
    await objects.ready(`environment/${name}`);
    const before = await applicationOf(installation, api, name);

    const rotating = wire.hold(held);
    await rotate(name, "1");
    await rotating.arrived;
    process.kill(frozen.pid, "SIGSTOP");

    // As if its time had run out, which the first test waits for.
    await objects.delete(LEASE);
    await successor.logged("the reign has begun");
    await rotated(name, "1");
    const after = await applicationOf(installation, api, name);
    await rotating.deliver();
    expect(await frozen.end("SIGCONT")).toBe(1);

    expect(after.key).not.toBe(before.key);
    expect((await before.ask("/connections")).status).toBe(401);
    expect((await after.ask("/connections")).status).toBe(200);
    expect(await applicationOf(installation, api, name)).toMatchObject({ key: after.key });
    expect(await rotationsOf(name)).toEqual({ rotations: 1, keys: 1 });
    expect(await successor.end()).toBe(0);
  },
);

test("bad case 25: a Secret that a frozen leader was writing does not replace the one with a newer key", async () => {
  const alone = { KEYSTEAD_LEADER_ELECTION: "false" };
  const { server } = await loadIdentity({ kubeconfig: inject("controlPlane").kubeconfig, env: {} });
  await using toApiServer = await startApiServerProxy(server);
  const frozen = installation.start("controller", {
    ...alone,
    KUBECONFIG: toApiServer.kubeconfigLike(installation.environment["KUBECONFIG"] ?? ""),
  });
  await objects.apply(environment("late"));
  await objects.ready("environment/late");

  const arrived = Promise.withResolvers<void>();
  const delivery = Promise.withResolvers<void>();
  const answered = Promise.withResolvers<void>();
  toApiServer.decide(({ method, url }) => {
    if (method !== "PATCH" || !url.includes("/secrets/late-keystead")) return undefined;
    arrived.resolve();
    return { held: delivery.promise, answered: () => answered.resolve() };
  });
  await rotate("late", "1");
  await arrived.promise;
  process.kill(frozen.pid, "SIGSTOP");
  const successor = installation.start("controller", alone);
  await rotated("late", "1");
  await rotate("late", "2");
  await rotated("late", "2");
  const current = await applicationOf(installation, api, "late");

  delivery.resolve();
  await answered.promise;
  expect(await applicationOf(installation, api, "late")).toMatchObject({ key: current.key });
  process.kill(frozen.pid, "SIGCONT");
  // Awake, it sees what it is asked for as the other one does, and is refused: at the latest when it is the first to see it.
  let rotations = 2;
  await eventually(async () => {
    rotations += 1;
    await rotate("late", String(rotations));
    await rotated("late", String(rotations));
    expect(frozen.running).toBe(false);
  });
  expect(await frozen.exit).toBe(1);
  expect(await rotationsOf("late")).toEqual({ rotations, keys: 1 });
  expect((await (await applicationOf(installation, api, "late")).ask("/connections")).status).toBe(200);
  expect(await successor.end()).toBe(0);
});
