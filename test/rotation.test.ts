import { afterAll, expect, inject, test } from "vitest";
import { loadIdentity } from "../src/kube/identity.ts";
import { startApiServerProxy } from "./support/api-server-proxy.ts";
import { applicationOf, type Application } from "./support/application.ts";
import { eventsAbout } from "./support/cluster.ts";
import { query, withClient } from "./support/database.ts";
import { eventually } from "./support/eventually.ts";
import { createInstallation } from "./support/keystead.ts";
import { conditionOf, environment, type Manifest } from "./support/resources.ts";

// A secret key is replaced by a new token of the annotation, or by the schedule: once, and never half.

const installation = await createInstallation("rotation");
const { objects, database, namespace } = installation;
let keystead = installation.start("run");

afterAll(() => installation[Symbol.asyncDispose]());

const ANNOTATION = "keystead.dev/rotate-secret-key";

interface KeyStatus {
  readonly fingerprint: string;
  readonly issuedAt: string;
  readonly lastHandledRotation?: string;
  readonly nextRotationAt?: string;
  readonly previousExpiresAt?: string;
}

async function keyOf(name: string): Promise<KeyStatus> {
  return (await objects.get(`environment/${name}`)).status?.["secretKey"] as KeyStatus;
}

async function secretOf(name: string): Promise<Record<string, string>> {
  const { data = {} } = await objects.get(`secret/${name}-keystead`);
  return Object.fromEntries(Object.entries(data).map(([key, value]) => [key, Buffer.from(value, "base64").toString()]));
}

const ask = (name: string, token: string | null, spec: object = {}): Promise<unknown> =>
  objects.patch(`environment/${name}`, { metadata: { annotations: { [ANNOTATION]: token } }, spec });

async function handled(name: string, token: string): Promise<KeyStatus> {
  return eventually(async () => {
    const key = await keyOf(name);
    expect(key.lastHandledRotation).toBe(token);
    return key;
  });
}

/** An Environment that is ready, and an application with its first key. */
async function prepare(name: string, spec: object = {}, token?: string): Promise<Application> {
  const annotations = token === undefined ? {} : { [ANNOTATION]: token };
  await objects.apply(environment(name, spec, { annotations }));
  await objects.ready(`environment/${name}`);
  return applicationOf(installation, keystead, name);
}

const statusOf = async (application: Application): Promise<number> => (await application.ask("/connections")).status;

async function rotations(name: string): Promise<number> {
  const id = (await objects.get(`environment/${name}`)).status?.["environmentId"];
  return withClient(database.ownerUrl, async (client) => {
    const { rows } = await client.query(
      "select from keystead.audit_events where environment_id = $1 and action = 'secret-key.rotated'",
      [id],
    );
    return rows.length;
  });
}

/** Keys of an Environment in the database, of whatever state. */
async function keptKeys(name: string): Promise<number> {
  const id = (await objects.get(`environment/${name}`)).status?.["environmentId"];
  const rows = await query(database.ownerUrl, "select from keystead.secret_keys where environment_id = $1", [id]);
  return rows.length;
}

async function notes(name: string, reason: string): Promise<string[]> {
  const { uid } = (await objects.get(`environment/${name}`)).metadata;
  const all = await eventsAbout(objects.client, namespace, uid);
  return all.filter((event) => event.reason === reason).map(({ type, note }) => `${type}: ${note}`);
}

/** Lets time pass for the keys of an environment, and touches it so that it is looked at. */
async function letPass(name: string, interval: string): Promise<void> {
  const id = (await objects.get(`environment/${name}`)).status?.["environmentId"];
  await withClient(database.ownerUrl, async (client) => {
    await client.query(
      "update keystead.key_digests set expires_at = expires_at - $2::interval where environment_id = $1",
      [id, interval],
    );
    await client.query(
      "update keystead.environments set next_rotation_at = next_rotation_at - $2::interval where environment_id = $1",
      [id, interval],
    );
  });
}

const touch = (name: string): Promise<unknown> =>
  objects.patch(`environment/${name}`, { metadata: { labels: { touched: String(Date.now()) } } });

test("a new token gives the Secret a new key, ends the old one, and warns of pods that still have it", async () => {
  const before = await prepare("leaked");
  await ask("leaked", "2026-11-24");
  const key = await handled("leaked", "2026-11-24");

  expect(await statusOf(before)).toBe(401);
  const after = await applicationOf(installation, keystead, "leaked");
  expect(after.key).not.toBe(before.key);
  expect(await statusOf(after)).toBe(200);
  expect(await secretOf("leaked")).not.toHaveProperty("KEYSTEAD_PREVIOUS_SECRET_KEY");
  expect(key).not.toHaveProperty("previousExpiresAt");
  await eventually(async () => {
    const [note] = await notes("leaked", "SecretKeyRotated");
    expect(note).toContain("Warning: The secret key was rotated, and the old one opens nothing any more");
  });
});

test("a rotated key is refused by every replica with its next request, whatever that remembers", async () => {
  await using api = installation.start("api");
  const one = await prepare("replicas");
  const other = await applicationOf(installation, api, "replicas");
  expect([await statusOf(one), await statusOf(other)]).toEqual([200, 200]);
  await ask("replicas", "1");
  await handled("replicas", "1");
  expect([await statusOf(one), await statusOf(other)]).toEqual([401, 401]);
  const renewed = await applicationOf(installation, api, "replicas");
  expect([renewed.key === one.key, await statusOf(renewed)]).toEqual([false, 200]);
});

test("bad case 15: a token that is applied 1,000 times rotates once; removed and set again it rotates no more", async () => {
  await prepare("repeated");
  for (let times = 0; times < 1_000; times += 20) {
    await Promise.all(Array.from({ length: 20 }, () => ask("repeated", "same")));
  }
  const first = await handled("repeated", "same");
  await ask("repeated", null);
  await ask("repeated", "");
  await ask("repeated", "same");
  await touch("repeated");
  await ask("repeated", "next");
  await handled("repeated", "next");
  expect(await rotations("repeated")).toBe(2);

  await ask("repeated", "same");
  const third = await handled("repeated", "same");
  expect(third.fingerprint, "an older token that is set again is new").not.toBe(first.fingerprint);
  expect(await rotations("repeated")).toBe(3);
});

test("bad case 15: of two tokens within a second the last one is handled, and the Secret has the key of the last", async () => {
  await prepare("hasty");
  await ask("hasty", "one");
  await ask("hasty", "two");
  await handled("hasty", "two");
  const application = await applicationOf(installation, keystead, "hasty");
  expect(await statusOf(application)).toBe(200);
  expect(await rotations("hasty")).toBeLessThanOrEqual(2);
});

test("bad case 15: a token that is there at creation counts as handled", async () => {
  const application = await prepare("born", {}, "from-git");
  expect(await keyOf("born")).toMatchObject({ lastHandledRotation: "from-git" });
  await touch("born");
  await ask("born", "later");
  await handled("born", "later");
  expect(await rotations("born")).toBe(1);
  expect(await statusOf(application)).toBe(401);
});

test("bad case 15: a token that was set during suspend is handled when that ends", async () => {
  const application = await prepare("resting");
  await objects.patch("environment/resting", { spec: { suspend: true } });
  await objects.reach("environment/resting", "Ready=True Suspended");
  await ask("resting", "meanwhile");
  await touch("resting");
  expect(await statusOf(application)).toBe(200);

  await objects.patch("environment/resting", { spec: { suspend: null } });
  await handled("resting", "meanwhile");
  expect(await statusOf(application)).toBe(401);
  expect(await rotations("resting")).toBe(1);
});

test.each([
  { what: "256 KiB", token: "x".repeat(250 * 1024) },
  { what: "1,025 characters", token: "x".repeat(1_025) },
  { what: "control characters", token: "a\u0007b" },
  { what: "a line break", token: "token\n" },
])("bad case 15: a token of $what is refused with what is allowed, and the key stays", async ({ token }) => {
  const application = await prepare("strange");
  await ask("strange", token);
  const stalled = await objects.reach("environment/strange", "Ready=True Succeeded", "Stalled=True InvalidToken");
  expect(conditionOf(stalled, "Stalled")?.message).toContain("1 to 1024 characters without control characters");
  expect(await statusOf(application)).toBe(200);

  await ask("strange", null);
  await objects.ready("environment/strange");
  expect(await rotations("strange")).toBe(0);
  await objects.delete("environment/strange");
});

test("bad case 16: in the grace period the Secret holds both keys and both work; afterwards it holds one", async () => {
  const before = await prepare("gentle", { rotation: { gracePeriod: "1h" } });
  await ask("gentle", "1");
  const { previousExpiresAt = "" } = await handled("gentle", "1");
  const values = await secretOf("gentle");
  expect(values).toMatchObject({ KEYSTEAD_PREVIOUS_SECRET_KEY: before.key });
  const after = await applicationOf(installation, keystead, "gentle");
  expect([await statusOf(before), await statusOf(after)]).toEqual([200, 200]);
  const minutes = (Date.parse(previousExpiresAt) - Date.now()) / 60_000;
  expect(minutes, "counted from when the Secret was written").toBeLessThan(61);
  expect((await notes("gentle", "SecretKeyRotated")).join()).not.toContain("Warning");

  // It comes back by itself: the pass that this starts finds the end a second away.
  await letPass("gentle", "59 minutes 58 seconds");
  await touch("gentle");
  await eventually(async () => {
    expect(await secretOf("gentle")).not.toHaveProperty("KEYSTEAD_PREVIOUS_SECRET_KEY");
    expect(await keyOf("gentle")).not.toHaveProperty("previousExpiresAt");
  });
  expect([await statusOf(before), await statusOf(after)]).toEqual([401, 200]);
});

test("bad case 16: two rotations inside the grace period leave the last two keys", async () => {
  const first = await prepare("twice", { rotation: { gracePeriod: "1h" } });
  await ask("twice", "1");
  await handled("twice", "1");
  const second = await applicationOf(installation, keystead, "twice");
  await ask("twice", "2");
  await handled("twice", "2");

  const third = await applicationOf(installation, keystead, "twice");
  expect(await secretOf("twice")).toMatchObject({ KEYSTEAD_PREVIOUS_SECRET_KEY: second.key });
  expect([await statusOf(first), await statusOf(second), await statusOf(third)]).toEqual([401, 200, 200]);

  await ask("twice", "revoke", { rotation: null });
  await handled("twice", "revoke");
  expect([await statusOf(first), await statusOf(second), await statusOf(third)]).toEqual([401, 401, 401]);
  expect(await secretOf("twice")).not.toHaveProperty("KEYSTEAD_PREVIOUS_SECRET_KEY");
});

test("bad case 15: what was asked for, ended or became due while the controller was down is done once when it is back", async () => {
  const manifests: Manifest[] = ["asked", "ended", "due", "settled"].map((name) =>
    environment(name, { rotation: { gracePeriod: "1h", interval: "90d" } }),
  );
  await objects.apply(...manifests);
  await objects.ready(...["asked", "ended", "due", "settled"].map((name) => `environment/${name}` as const));
  const settled = await keyOf("settled");
  expect(Date.parse(settled.nextRotationAt ?? "") - Date.parse(settled.issuedAt)).toBeLessThanOrEqual(90 * 86_400_000);
  await ask("ended", "before");
  await handled("ended", "before");
  await keystead.end();

  await ask("asked", "down");
  await letPass("ended", "2 hours");
  await letPass("due", "200 days");
  keystead = installation.start("run");

  await handled("asked", "down");
  await eventually(async () => {
    expect(await secretOf("ended")).not.toHaveProperty("KEYSTEAD_PREVIOUS_SECRET_KEY");
    expect(await secretOf("due")).toHaveProperty("KEYSTEAD_PREVIOUS_SECRET_KEY");
    expect((await keyOf("due")).previousExpiresAt).toBeDefined();
  });
  await keystead.end();
  keystead = installation.start("run");
  await keystead.logged("caught up with what was there at the start");
  const counts = await Promise.all(["asked", "ended", "due", "settled"].map(rotations));
  expect(counts).toEqual([1, 1, 1, 0]);
  expect(await keyOf("settled")).toEqual(settled);
});

test("bad case 16: a grace period that ends while the controller is down leaves no key in the database", async () => {
  await prepare("left", { rotation: { gracePeriod: "1h" } });
  await ask("left", "1");
  await handled("left", "1");
  await keystead.end();
  await letPass("left", "2 hours");
  await using api = installation.start("api");
  await installation.apiOf(api);

  await eventually(async () => expect(await keptKeys("left")).toBe(1));
  expect(await secretOf("left"), "nobody is there to write it").toHaveProperty("KEYSTEAD_PREVIOUS_SECRET_KEY");
  keystead = installation.start("run");
  await eventually(async () => expect(await secretOf("left")).not.toHaveProperty("KEYSTEAD_PREVIOUS_SECRET_KEY"));
});

test("bad case 16: a grace period that ends after a restart ends in the Secret by itself", async () => {
  await prepare("restarted", { rotation: { gracePeriod: "1h" } });
  await ask("restarted", "1");
  await handled("restarted", "1");
  await keystead.end();
  await letPass("restarted", "59 minutes 45 seconds");
  keystead = installation.start("run");
  await keystead.logged("caught up with what was there at the start");
  expect(await secretOf("restarted")).toHaveProperty("KEYSTEAD_PREVIOUS_SECRET_KEY");

  await eventually(async () => {
    expect(await secretOf("restarted")).not.toHaveProperty("KEYSTEAD_PREVIOUS_SECRET_KEY");
    expect(await keptKeys("restarted")).toBe(1);
  });
});

test("a rotation whose controller was killed before it could tell anybody is told by the next one, once", async () => {
  const before = await prepare("untold");
  await keystead.end();
  const { server } = await loadIdentity({ kubeconfig: inject("controlPlane").kubeconfig, env: {} });
  await using toApiServer = await startApiServerProxy(server);
  const killed = installation.start("controller", {
    KUBECONFIG: toApiServer.kubeconfigLike(installation.environment["KUBECONFIG"] ?? ""),
  });
  const writing = Promise.withResolvers<void>();
  toApiServer.decide(({ method, url }) => {
    const isSecret = method === "PATCH" && url.includes("/secrets/untold-keystead");
    if (isSecret) writing.resolve();
    return isSecret || (method === "POST" && url.includes("/events")) ? { held: new Promise(() => {}) } : undefined;
  });
  await ask("untold", "1");
  await writing.promise;
  await killed.end("SIGKILL");
  expect(await notes("untold", "SecretKeyRotated")).toEqual([]);

  keystead = installation.start("run");
  await handled("untold", "1");
  await eventually(async () => expect(await notes("untold", "SecretKeyRotated")).toHaveLength(1));
  const again = await applicationOf(installation, keystead, "untold");
  expect(again.key).not.toBe(before.key);
  expect(await rotations("untold")).toBe(1);
});
