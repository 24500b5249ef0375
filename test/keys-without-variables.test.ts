import { afterAll, expect, test } from "vitest";
import { applicationOf, type Application } from "./support/application.ts";
import { query } from "./support/database.ts";
import { eventually } from "./support/eventually.ts";
import { createInstallation } from "./support/keystead.ts";
import { environment, namedKey, secret, type Manifest } from "./support/resources.ts";

// An Environment that waits for the Secret of a variable has keys that work: what is asked of them is done all the same.

const installation = await createInstallation("waiting");
const { objects, database } = installation;
const keystead = installation.start("run");

afterAll(() => installation[Symbol.asyncDispose]());

const ROTATE = "keystead.dev/rotate-secret-key";
const LOST = ["Ready=True Succeeded", "Reconciling=True SecretNotFound"];

function manifest(name: string, spec: object = {}, changes: object = {}): Manifest {
  const variables = [{ name: "TOKEN", valueFrom: { secretKeyRef: { name: `${name}-app`, key: "token" } } }];
  return environment(name, { variables, ...spec }, changes);
}

/** An Environment that was stored, and whose variable has lost its Secret since. */
async function arrangeLost(name: string, spec: object = {}): Promise<Application> {
  await objects.apply(secret(`${name}-app`, { token: "1" }), manifest(name, spec));
  await objects.ready(`environment/${name}`);
  const application = await applicationOf(installation, keystead, name);
  await objects.delete(`secret/${name}-app`);
  await objects.reach(`environment/${name}`, ...LOST);
  return application;
}

const statusOf = async (application: Application): Promise<number> => (await application.ask("/connections")).status;

test("a rotated key is handed out, told and shown while a variable waits for its Secret", async () => {
  const before = await arrangeLost("rotating");
  await objects.patch("environment/rotating", { metadata: { annotations: { [ROTATE]: "leak" } } });

  const after = await eventually(async () => {
    const now = await applicationOf(installation, keystead, "rotating");
    expect(now.key).not.toBe(before.key);
    return now;
  });
  expect([await statusOf(before), await statusOf(after)]).toEqual([401, 200]);
  await eventually(async () => {
    const { status } = await objects.get("environment/rotating");
    expect(status?.["secretKey"]).toMatchObject({ lastHandledRotation: "leak" });
  });
  await eventually(async () => {
    const told = await objects.events("environment/rotating");
    expect(told.map(({ reason }) => reason)).toContain("SecretKeyRotated");
  });
  await objects.reach("environment/rotating", ...LOST);

  await objects.apply(secret("rotating-app", { token: "2" }));
  await objects.ready("environment/rotating");
  expect(await statusOf(after)).toBe(200);
});

test("a grace period begins, and is shown, while a variable has a value that is no text", async () => {
  const before = await arrangeLost("lenient", { rotation: { gracePeriod: "1h" } });
  await objects.apply({ ...secret("lenient-app", {}), data: { token: "//79" } });
  await objects.reach("environment/lenient", "Ready=False InvalidSecretValue", "Stalled=True InvalidSecretValue");
  await objects.patch("environment/lenient", { metadata: { annotations: { [ROTATE]: "1" } } });
  await eventually(async () => {
    const { status } = await objects.get("environment/lenient");
    expect(status?.["secretKey"]).toHaveProperty("previousExpiresAt");
    const { data = {} } = await objects.get("secret/lenient-keystead");
    expect(data).toHaveProperty("KEYSTEAD_PREVIOUS_SECRET_KEY");
  });
  expect(await statusOf(before)).toBe(200);
  const begun = await query(
    database.ownerUrl,
    `select from keystead.audit_events join keystead.environments using (environment_id)
      where name = 'lenient' and action = 'secret-key.grace-began'`,
  );
  expect(begun).toHaveLength(1);
});

test("named keys are made and killed while a variable waits for its Secret", async () => {
  await arrangeLost("team", { apiKeys: [namedKey("leaver")] });
  const leaver = await applicationOf(installation, keystead, "", "leaver-key");
  expect(await statusOf(leaver)).toBe(200);
  await objects.apply(manifest("team", { apiKeys: [namedKey("joiner")] }));
  await eventually(async () => expect(await objects.find("secret/leaver-key")).toBeUndefined());
  expect(await statusOf(leaver)).toBe(401);
  expect(await statusOf(await applicationOf(installation, keystead, "", "joiner-key"))).toBe(200);
});

test("a deleted Secret is written anew, and the data key replaced, while a variable waits for its Secret", async () => {
  const { key: held } = await arrangeLost("repaired");
  await objects.startDelete("secret/repaired-keystead");
  await eventually(async () => expect((await applicationOf(installation, keystead, "repaired")).key).toBe(held));
  const annotations = { "keystead.dev/rotate-data-key": "1" };
  await objects.patch("environment/repaired", { metadata: { annotations } });
  await eventually(async () => {
    const { status } = await objects.get("environment/repaired");
    expect(status).toMatchObject({ dataKey: { lastHandledRotation: "1" } });
  });
});
