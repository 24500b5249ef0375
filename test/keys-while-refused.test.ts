import { afterAll, expect, test } from "vitest";
import { applicationOf, type Application } from "./support/application.ts";
import { query } from "./support/database.ts";
import { eventually } from "./support/eventually.ts";
import { createInstallation } from "./support/keystead.ts";
import { environment, namedKey, secret } from "./support/resources.ts";

// An Environment that is refused what it asks to have back or to take over has keys already: what is asked of them is done.

const installation = await createInstallation("refused");
const { objects, database } = installation;
const keystead = installation.start("run");

afterAll(() => installation[Symbol.asyncDispose]());

const ROTATE = "keystead.dev/rotate-secret-key";
const NOBODY = "01930000-0000-7000-8000-000000000000";

const holder = (name: string): Promise<Application> => applicationOf(installation, keystead, "", `${name}-key`);

const statusOf = async (application: Application): Promise<number> => (await application.ask("/connections")).status;

const stalledBy = (reason: string): string[] => [`Ready=False ${reason}`, `Stalled=True ${reason}`];

const adopting = (name: string, environmentId: string): object => ({
  adopt: { environmentId, secretKeyRef: { name: `${name}-proof`, key: "key" } },
});

test("bad case 8: while a restore is refused, a removed key opens nothing, a new one is made, and the own key is rotated", async () => {
  await objects.apply(environment("wishing", { apiKeys: [namedKey("leaver")] }));
  await objects.ready("environment/wishing");
  const leaver = await holder("leaver");
  const before = await applicationOf(installation, keystead, "wishing");

  const annotations = { [ROTATE]: "leak" };
  await objects.apply(environment("wishing", { restoreFrom: NOBODY, apiKeys: [namedKey("joiner")] }, { annotations }));
  const { status } = await objects.reach("environment/wishing", ...stalledBy("RestoreNotFound"));

  expect(status).toMatchObject({ secretKey: { lastHandledRotation: "leak" } });
  expect(await objects.find("secret/leaver-key")).toBeUndefined();
  const after = await applicationOf(installation, keystead, "wishing");
  expect(await Promise.all([leaver, before, after, await holder("joiner")].map(statusOf))).toEqual([
    401, 401, 200, 200,
  ]);

  await objects.apply(environment("wishing", { apiKeys: [namedKey("joiner")] }, { annotations }));
  await objects.ready("environment/wishing");
  expect((await applicationOf(installation, keystead, "wishing")).key, "handled once").toBe(after.key);
});

test("a named key expires while the place of what is to be restored is taken, and its Secret goes", async () => {
  await objects.apply(environment("twice"));
  await objects.ready("environment/twice");
  const restoreFrom = (await objects.get("environment/twice")).status?.["environmentId"];
  await objects.delete("environment/twice");
  const spec = { apiKeys: [namedKey("visitor", { expiresAfter: "1h" })] };
  await objects.apply(environment("twice", spec));
  await objects.ready("environment/twice");
  await objects.patch("environment/twice", { spec: { restoreFrom } });
  await objects.reach("environment/twice", ...stalledBy("RestoreConflict"));
  const visitor = await holder("visitor");
  expect(await statusOf(visitor)).toBe(200);

  await query(
    database.ownerUrl,
    `update keystead.key_digests d set expires_at = now() from keystead.secret_keys k
      where k.secret_key_id = d.secret_key_id and k.name = 'visitor'`,
  );
  await objects.patch("environment/twice", { metadata: { labels: { touched: "yes" } } });
  await eventually(async () => expect(await objects.find("secret/visitor-key")).toBeUndefined());
  expect(await statusOf(visitor)).toBe(401);
  const left = await query(database.ownerUrl, "select from keystead.secret_keys where name = 'visitor'");
  expect(left).toEqual([]);
});

test("named keys are rotated and removed while an adoption waits for its proof, and while it is refused", async () => {
  await objects.apply(environment("greedy", { apiKeys: [namedKey("turned"), namedKey("left")] }));
  await objects.ready("environment/greedy");
  const [turned, left] = [await holder("turned"), await holder("left")];
  const spec = { ...adopting("greedy", NOBODY), apiKeys: [namedKey("turned"), namedKey("left")] };
  await objects.apply(environment("greedy", spec, { annotations: { [`${ROTATE}.turned`]: "1" } }));
  await objects.reach("environment/greedy", "Ready=True Succeeded", "Reconciling=True SecretNotFound");
  await eventually(async () => expect((await holder("turned")).key).not.toBe(turned.key));
  expect(await Promise.all([turned, await holder("turned")].map(statusOf))).toEqual([401, 200]);

  const { key: proof } = await applicationOf(installation, keystead, "greedy");
  await objects.apply(secret("greedy-proof", { key: proof }));
  await objects.reach("environment/greedy", ...stalledBy("AdoptRefused"));
  await objects.patch("environment/greedy", { spec: { apiKeys: [namedKey("turned")] } });
  await objects.reach("environment/greedy", ...stalledBy("AdoptRefused"));
  expect(await statusOf(left)).toBe(401);
  expect(await objects.find("secret/left-key")).toBeUndefined();
  expect(await statusOf(await holder("turned"))).toBe(200);
});
