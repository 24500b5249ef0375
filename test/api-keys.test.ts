import { afterAll, expect, test } from "vitest";
import { applicationOf, type Application } from "./support/application.ts";
import { query, withClient } from "./support/database.ts";
import { eventually } from "./support/eventually.ts";
import { createInstallation, SERVICE_URL } from "./support/keystead.ts";
import { canary } from "./support/leaks.ts";
import { connection, environment, integration, namedKey, secret } from "./support/resources.ts";

// Named keys of an Environment: each in a Secret of its own, ended by taking it from the list.

const installation = await createInstallation("apikeys");
const { objects, database } = installation;
let keystead = installation.start("run");

afterAll(() => installation[Symbol.asyncDispose]());

const ROTATE = "keystead.dev/rotate-secret-key";

const holder = (name: string): Promise<Application> => applicationOf(installation, keystead, "", `${name}-key`);

const statusOf = async (application: Application, path = "/connections"): Promise<number> =>
  (await application.ask(path)).status;

/** The same from the process that runs now, for a key that was read while another one ran. */
async function statusNow({ key: held }: Application): Promise<number> {
  const host = await installation.apiOf(keystead);
  return (await fetch(`${host}/connections`, { headers: { authorization: `Bearer ${held}` } })).status;
}

async function events(environmentName: string, keyName: string): Promise<string[]> {
  const id = (await objects.get(`environment/${environmentName}`)).status?.["environmentId"];
  return withClient(database.ownerUrl, async (client) => {
    const { rows } = await client.query<{ action: string }>(
      `select action from keystead.audit_events
        where environment_id = $1 and target_kind = 'secret-key' and $2 = any(fields) order by event_id`,
      [id, keyName],
    );
    return rows.map(({ action }) => action);
  });
}

test("each named key is in a Secret of its own, opens what its scopes and its selector say, and nothing else", async () => {
  const parents = { environment: "shop", integration: "stripe" };
  const scopes = ["environment:connections:read_credentials", "connections:list"];
  await objects.apply(
    environment("shop", { apiKeys: [namedKey("sales", { scopes, connectionSelector: { team: "sales" } })] }),
    integration("stripe", "shop"),
    secret("acme", { token: canary("acme") }),
    secret("other", { token: canary("other") }),
    connection("acme", parents, { tags: { team: "sales" } }),
    connection("other", parents),
  );
  await objects.ready("environment/shop", "connection/acme", "connection/other");

  const written = await objects.get("secret/sales-key");
  expect(Object.keys(written.data ?? {}).toSorted()).toEqual(["KEYSTEAD_HOST", "KEYSTEAD_SECRET_KEY"]);
  expect(Buffer.from(written.data?.["KEYSTEAD_HOST"] ?? "", "base64").toString()).toBe(SERVICE_URL);
  expect(written.metadata.ownerReferences).toMatchObject([{ kind: "Environment", name: "shop" }]);
  const application = await holder("sales");
  expect(await application.credentials("acme", "stripe")).toMatchObject({ type: "API_KEY" });
  expect(await application.credentials("other", "stripe")).toBe(404);
  expect(await statusOf(application, "/integrations")).toBe(403);
  const { connections } = await application.nango.listConnections({});
  expect(connections.map(({ connection_id: id }) => id)).toEqual(["acme"]);
});

test("a key that is taken from the list opens nothing, and its Secret goes; the others and the main key stay", async () => {
  await objects.apply(environment("team", { apiKeys: [namedKey("leaver"), namedKey("stayer")] }));
  await objects.ready("environment/team");
  const [leaver, stayer] = [await holder("leaver"), await holder("stayer")];
  expect([await statusOf(leaver), await statusOf(stayer)]).toEqual([200, 200]);

  await objects.apply(environment("team", { apiKeys: [namedKey("stayer")] }));
  await objects.ready("environment/team");
  expect([await statusOf(leaver), await statusOf(stayer)]).toEqual([401, 200]);
  expect(await objects.find("secret/leaver-key")).toBeUndefined();
  expect((await holder("stayer")).key).toBe(stayer.key);
  expect(await statusOf(await applicationOf(installation, keystead, "team"))).toBe(200);
  expect(await events("team", "leaver")).toEqual(["secret-key.created", "secret-key.ended"]);

  await objects.patch("environment/team", { spec: { apiKeys: null } });
  await objects.ready("environment/team");
  expect(await statusOf(stayer)).toBe(401);
  expect(await objects.find("secret/stayer-key")).toBeUndefined();
});

test("its own annotation rotates it once, with the grace period of the Environment; the others stay", async () => {
  const spec = { rotation: { gracePeriod: "1h" }, apiKeys: [namedKey("turned"), namedKey("still")] };
  const annotations = { [`${ROTATE}.turned`]: "at-creation" };
  await objects.apply(environment("turning", spec, { annotations }));
  await objects.ready("environment/turning");
  const [before, still] = [await holder("turned"), await holder("still")];
  const main = await applicationOf(installation, keystead, "turning");

  await objects.patch("environment/turning", { metadata: { annotations: { [`${ROTATE}.turned`]: "leak" } } });
  const after = await eventually(async () => {
    const now = await holder("turned");
    expect(now.key).not.toBe(before.key);
    return now;
  });
  expect([await statusOf(before), await statusOf(after)]).toEqual([200, 200]);
  const { data = {} } = await objects.get("secret/turned-key");
  expect(data).not.toHaveProperty("KEYSTEAD_PREVIOUS_SECRET_KEY");

  const again = { [`${ROTATE}.turned`]: "leak again" };
  await objects.patch("environment/turning", { metadata: { annotations: again }, spec: { rotation: null } });
  await eventually(async () => expect((await holder("turned")).key).not.toBe(after.key));
  expect([await statusOf(before), await statusOf(after)]).toEqual([401, 401]);
  expect(await statusOf(await holder("turned"), "/integrations"), "with the scopes it had").toBe(403);
  expect([(await holder("still")).key, await statusOf(main)]).toEqual([still.key, 200]);
  await eventually(async () =>
    expect(await events("turning", "turned")).toEqual([
      "secret-key.created",
      "secret-key.rotated",
      "secret-key.grace-began",
      "secret-key.rotated",
    ]),
  );
});

test("an expired key opens nothing, its Secret goes, and a rotation makes a new one", async () => {
  await objects.apply(environment("ending", { apiKeys: [namedKey("visitor", { expiresAfter: "1h" })] }));
  await objects.ready("environment/ending");
  const visitor = await holder("visitor");
  expect(await statusOf(visitor)).toBe(200);
  const id = (await objects.get("environment/ending")).status?.["environmentId"];
  await withClient(database.ownerUrl, (client) =>
    client.query(
      "update keystead.key_digests set expires_at = now() where environment_id = $1 and scopes is not null",
      [id],
    ),
  );
  expect(await statusOf(visitor)).toBe(401);

  await objects.patch("environment/ending", { metadata: { labels: { touched: "yes" } } });
  await eventually(async () => expect(await objects.find("secret/visitor-key")).toBeUndefined());
  await eventually(async () => {
    const told = await objects.events("environment/ending");
    expect(told.map(({ type, reason }) => `${type} ${reason}`)).toContain("Warning SecretKeyExpired");
  });
  expect(await events("ending", "visitor")).toEqual(["secret-key.created", "secret-key.ended"]);

  await objects.patch("environment/ending", { metadata: { annotations: { [`${ROTATE}.visitor`]: "back" } } });
  await eventually(async () => expect(await objects.find("secret/visitor-key")).toBeDefined());
  const back = await holder("visitor");
  expect([back.key === visitor.key, await statusOf(back)]).toEqual([false, 200]);
});

test("a named key that expires while the controller is down is erased by whoever purges, and its Secret goes when it is back", async () => {
  await objects.apply(environment("absent", { apiKeys: [namedKey("guest", { expiresAfter: "1h" })] }));
  await objects.ready("environment/absent");
  const guest = await holder("guest");
  await keystead.end();
  const ofGuest = "secret_key_id in (select secret_key_id from keystead.secret_keys where name = 'guest')";
  await query(database.ownerUrl, `update keystead.key_digests set expires_at = now() where ${ofGuest}`);
  const api = installation.start("api");
  await eventually(async () =>
    expect(await query(database.ownerUrl, "select from keystead.secret_keys where name = 'guest'")).toEqual([]),
  );
  expect(await events("absent", "guest")).toEqual(["secret-key.created", "secret-key.ended"]);
  expect(await objects.find("secret/guest-key"), "nobody is there to delete it").toBeDefined();
  await api.end();

  keystead = installation.start("run");
  await eventually(async () => expect(await objects.find("secret/guest-key")).toBeUndefined());
  await eventually(async () => {
    const told = await objects.events("environment/absent");
    expect(told.map(({ type, reason }) => `${type} ${reason}`)).toEqual(["Warning SecretKeyExpired"]);
  });
  expect(await statusNow(guest)).toBe(401);
  expect(await events("absent", "guest"), "once").toEqual(["secret-key.created", "secret-key.ended"]);
});

test("what was added, removed or moved while the controller was down is done when it is back, and no key is made twice", async () => {
  await objects.apply(environment("offline", { apiKeys: [namedKey("gone"), namedKey("moved"), namedKey("kept")] }));
  await objects.ready("environment/offline");
  const [gone, moved, kept] = [await holder("gone"), await holder("moved"), await holder("kept")];
  await keystead.end();
  const keys = [namedKey("moved", { secretName: "elsewhere-key" }), namedKey("kept"), namedKey("added")];
  await objects.apply(environment("offline", { apiKeys: keys }));
  keystead = installation.start("run");
  await objects.ready("environment/offline");

  expect(await objects.find("secret/gone-key")).toBeUndefined();
  expect(await objects.find("secret/moved-key")).toBeUndefined();
  expect([(await holder("elsewhere")).key, (await holder("kept")).key]).toEqual([moved.key, kept.key]);
  const now = [await holder("elsewhere"), await holder("kept"), await holder("added")];
  expect(await Promise.all(now.map((one) => statusOf(one)))).toEqual([200, 200, 200]);
  expect(await statusNow(gone)).toBe(401);

  await keystead.end();
  keystead = installation.start("run");
  await keystead.logged("caught up with what was there at the start");
  expect(await events("offline", "kept")).toEqual(["secret-key.created"]);
});

test("bad case 5: a Secret of somebody else is left alone, and the other keys of the Environment are written", async () => {
  await objects.apply(secret("theirs-key", { value: canary("theirs") }));
  await objects.apply(environment("blocked", { apiKeys: [namedKey("theirs"), namedKey("ours")] }));
  await objects.reach("environment/blocked", "Ready=False SecretNotOwned", "Stalled=True SecretNotOwned");
  expect(await statusOf(await holder("ours"))).toBe(200);
  expect(Object.keys((await objects.get("secret/theirs-key")).data ?? {})).toEqual(["value"]);

  await objects.startDelete("secret/theirs-key");
  await objects.ready("environment/blocked");
  expect(await statusOf(await holder("theirs"))).toBe(200);
});

test("while the Secret of one key is somebody else's, the grace period of the main key begins, and a removed key's Secret goes", async () => {
  await objects.apply(secret("foreign-key", { value: canary("foreign") }));
  const spec = { rotation: { gracePeriod: "1h" }, apiKeys: [namedKey("foreign"), namedKey("leaving")] };
  await objects.apply(environment("divided", spec));
  const stalledBy = ["Ready=False SecretNotOwned", "Stalled=True SecretNotOwned"];
  await objects.reach("environment/divided", ...stalledBy);
  const changed = environment(
    "divided",
    { ...spec, apiKeys: [namedKey("foreign")] },
    { annotations: { [ROTATE]: "1", [`${ROTATE}.foreign`]: "1" } },
  );
  await objects.apply(changed);
  await eventually(async () => expect(await objects.find("secret/leaving-key")).toBeUndefined());
  await objects.reach("environment/divided", ...stalledBy);
  expect(await events("divided", "main")).toContain("secret-key.grace-began");
  expect(await events("divided", "foreign"), "nobody has the new key yet").not.toContain("secret-key.grace-began");
});

test("a token that a named key has when its Environment is restored counts as handled", async () => {
  const spec = { apiKeys: [namedKey("returning")] };
  await objects.apply(environment("back", spec));
  await objects.ready("environment/back");
  const restoreFrom = (await objects.get("environment/back")).status?.["environmentId"];
  const returning = await holder("returning");
  await objects.delete("environment/back");
  const annotations = { [ROTATE]: "1", [`${ROTATE}.returning`]: "1" };
  await objects.apply(environment("back", { ...spec, restoreFrom }, { annotations }));
  await objects.ready("environment/back");
  expect([(await holder("returning")).key, await statusOf(returning)]).toEqual([returning.key, 200]);
  expect(await events("back", "returning")).toEqual(["secret-key.created"]);
});

test("a key that is to be in the Secret of its Environment is in none until it is edited, and all other keys go on", async () => {
  await objects.apply(environment("shared", { apiKeys: [namedKey("sharing"), namedKey("stopping")] }));
  await objects.ready("environment/shared");
  const [sharing, stopping] = [await holder("sharing"), await holder("stopping")];
  const main = await applicationOf(installation, keystead, "shared");

  const refused = environment("shared", { apiKeys: [namedKey("sharing", { secretName: "shared-keystead" })] });
  await objects.apply(refused);
  await objects.reach("environment/shared", "Ready=False InvalidSpec", "Stalled=True InvalidSpec");
  expect((await applicationOf(installation, keystead, "shared")).key).toBe(main.key);
  expect(await objects.find("secret/stopping-key")).toBeUndefined();
  expect([await statusOf(main), await statusOf(stopping)]).toEqual([200, 401]);
  expect((await holder("sharing")).key, "in the Secret where it was").toBe(sharing.key);

  await objects.apply(environment("shared", { apiKeys: [namedKey("sharing", { secretName: "moved-key" })] }));
  await objects.ready("environment/shared");
  expect((await holder("moved")).key).toBe(sharing.key);
  expect(await objects.find("secret/sharing-key")).toBeUndefined();
});

test("an Environment that is made with such a key has its own in its Secret", async () => {
  await objects.apply(environment("born", { apiKeys: [namedKey("born", { secretName: "born-keystead" })] }));
  await objects.reach("environment/born", "Ready=False InvalidSpec", "Stalled=True InvalidSpec");
  const main = await applicationOf(installation, keystead, "born");
  expect(await statusOf(main, "/integrations"), "which a key with the scopes of the named one does not open").toBe(200);
});

test("a deleted Environment takes the keys and their Secrets along", async () => {
  await objects.apply(environment("leaving", { apiKeys: [namedKey("along")] }));
  await objects.ready("environment/leaving");
  const along = await holder("along");
  await objects.delete("environment/leaving");
  expect(await objects.find("secret/along-key")).toBeUndefined();
  expect(await statusOf(along)).toBe(401);
});
