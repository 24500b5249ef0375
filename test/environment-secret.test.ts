import { afterAll, expect, test } from "vitest";
import { applicationOf } from "./support/application.ts";
import { eventually } from "./support/eventually.ts";
import { createInstallation, SERVICE_URL } from "./support/keystead.ts";
import { canary } from "./support/leaks.ts";
import { conditionOf, environment, type Observed, secret } from "./support/resources.ts";

// The Secret that hands the keys of an Environment to applications: written, kept right, and never anybody else's.

const installation = await createInstallation("envsecret");
const { objects } = installation;
let keystead = installation.start("run");

afterAll(() => installation[Symbol.asyncDispose]());

/** The values of a Secret in plain text. */
function valuesOf({ data = {} }: Observed): Record<string, string> {
  return Object.fromEntries(Object.entries(data).map(([key, value]) => [key, Buffer.from(value, "base64").toString()]));
}

async function values(name: string): Promise<Record<string, string>> {
  return valuesOf(await objects.get(`secret/${name}`));
}

test("it holds both keys and the address of the API, belongs to its Environment, and its key opens the API", async () => {
  await objects.apply(environment("production"));
  await objects.ready("environment/production");
  const owner = await objects.get("environment/production");
  const written = await objects.get("secret/production-keystead");

  expect(valuesOf(written)).toEqual({
    KEYSTEAD_SECRET_KEY: expect.stringMatching(/^ks_sk_/),
    KEYSTEAD_PUBLIC_KEY: owner.status?.["publicKey"],
    KEYSTEAD_HOST: SERVICE_URL,
  });
  expect(written.metadata.ownerReferences).toMatchObject([
    { kind: "Environment", name: "production", uid: owner.metadata.uid, controller: true },
  ]);
  const application = await applicationOf(installation, keystead, "production");
  expect((await application.ask("/connections")).status).toBe(200);
});

test.each([{ whose: "nobody's" }, { whose: "somebody else's" }])(
  "bad case 5: a Secret that is $whose is never touched, and its removal heals",
  async ({ whose }) => {
    await objects.apply(secret("app", { value: canary("app") }));
    const { uid } = (await objects.get("secret/app")).metadata;
    const somebody = { apiVersion: "v1", kind: "Secret", name: "app", uid, controller: true };
    const metadata = { name: "claimed", ownerReferences: whose === "nobody's" ? [] : [somebody] };
    await objects.apply(secret("claimed", { KEYSTEAD_SECRET_KEY: "theirs" }, { metadata }));
    await objects.apply(environment("claimed", { secretName: "claimed" }));
    const stalled = await objects.reach(
      "environment/claimed",
      "Ready=False SecretNotOwned",
      "Stalled=True SecretNotOwned",
    );
    expect(conditionOf(stalled, "Stalled")?.message).toContain("Secret claimed exists");

    // Both make another pass run, which has to come to the same.
    await objects.patch("secret/claimed", { metadata: { labels: { touched: "yes" } } });
    await objects.apply(environment("claimed", { secretName: "claimed", retention: "10d" }));
    await objects.reach("environment/claimed", "Ready=False SecretNotOwned", "Stalled=True SecretNotOwned");
    expect(await values("claimed")).toEqual({ KEYSTEAD_SECRET_KEY: "theirs" });

    // The controller writes it anew at once, so nobody ever sees it gone.
    await objects.startDelete("secret/claimed");
    await objects.ready("environment/claimed");
    expect(await values("claimed")).toMatchObject({ KEYSTEAD_SECRET_KEY: expect.stringMatching(/^ks_sk_/) });
    await objects.delete("environment/claimed");
  },
);

test("bad case 5: of two Environments that name one Secret the second is Stalled, and takes it when the first is gone", async () => {
  await objects.apply(environment("first", { secretName: "contested" }));
  await objects.ready("environment/first");
  const ofTheFirst = await values("contested");

  await objects.apply(environment("second", { secretName: "contested" }));
  await objects.reach("environment/second", "Ready=False SecretNotOwned", "Stalled=True SecretNotOwned");
  expect(await values("contested")).toEqual(ofTheFirst);

  await objects.delete("environment/first");
  await objects.ready("environment/second");
  expect((await values("contested"))["KEYSTEAD_SECRET_KEY"]).not.toBe(ofTheFirst["KEYSTEAD_SECRET_KEY"]);
});

test("bad case 5: our own Secret that somebody changed and froze is Stalled until it is removed", async () => {
  await objects.apply(environment("frozen"));
  await objects.ready("environment/frozen");
  const right = await values("frozen-keystead");
  const data = { KEYSTEAD_HOST: Buffer.from("http://elsewhere.test").toString("base64") };
  await objects.patch("secret/frozen-keystead", { data, immutable: true });

  await objects.reach("environment/frozen", "Ready=False SecretImmutable", "Stalled=True SecretImmutable");
  await objects.startDelete("secret/frozen-keystead");

  await objects.ready("environment/frozen");
  expect(await values("frozen-keystead")).toEqual(right);
});

test("a Secret that is frozen with the right values is as good as any", async () => {
  await objects.apply(environment("right"));
  await objects.ready("environment/right");
  await objects.patch("secret/right-keystead", { immutable: true });
  await objects.patch("environment/right", { spec: { retention: "10d" } });

  await objects.ready("environment/right");
});

test.each([
  { drift: "a changed value", patch: { stringData: { KEYSTEAD_SECRET_KEY: "wrong" } } },
  { drift: "a removed value", patch: { data: { KEYSTEAD_PUBLIC_KEY: null } } },
  { drift: "a value that does not belong there", patch: { stringData: { EXTRA: "value" } } },
  { drift: "a removed label", patch: { metadata: { labels: { "keystead.dev/environment-uid": null } } } },
])("$drift is set right at once", async ({ patch }) => {
  await objects.apply(environment("drifting"));
  await objects.ready("environment/drifting");
  const before = await objects.get("secret/drifting-keystead");
  await objects.patch("secret/drifting-keystead", patch);

  await eventually(async () => {
    const now = await objects.get("secret/drifting-keystead");
    expect(now.data).toEqual(before.data);
    expect(now.metadata.labels).toEqual(before.metadata.labels);
    expect(now.metadata.uid).toBe(before.metadata.uid);
  });
});

test("a deleted Secret is written again with the same keys", async () => {
  await objects.apply(environment("lost"));
  await objects.ready("environment/lost");
  const before = await values("lost-keystead");
  await objects.startDelete("secret/lost-keystead");

  await eventually(async () => expect(await values("lost-keystead")).toEqual(before));
});

test("another name moves the Secret: the same keys under the new one, and the old one gone", async () => {
  await objects.apply(environment("moving"));
  await objects.ready("environment/moving");
  const before = await values("moving-keystead");
  await objects.apply(environment("moving", { secretName: "moved" }));
  await objects.ready("environment/moving");

  expect(await values("moved")).toEqual(before);
  expect(await objects.find("secret/moving-keystead")).toBeUndefined();
});

test("a move onto a foreign Secret leaves the old one until the new one can be written", async () => {
  await objects.apply(environment("blocked"), secret("taken", { value: canary("taken") }));
  await objects.ready("environment/blocked");
  const before = await values("blocked-keystead");
  await objects.apply(environment("blocked", { secretName: "taken" }));
  await objects.reach("environment/blocked", "Ready=False SecretNotOwned", "Stalled=True SecretNotOwned");
  expect(await values("blocked-keystead")).toEqual(before);

  await objects.startDelete("secret/taken");
  await objects.ready("environment/blocked");

  expect(await values("taken")).toEqual(before);
  expect(await objects.find("secret/blocked-keystead")).toBeUndefined();
});

test("a deleted Environment takes its Secret along, and its key opens nothing any more", async () => {
  await objects.apply(environment("ending"));
  await objects.ready("environment/ending");
  const application = await applicationOf(installation, keystead, "ending");
  await objects.delete("environment/ending");

  expect(await objects.find("secret/ending-keystead")).toBeUndefined();
  expect((await application.ask("/connections")).status).toBe(401);
});

test("another address of the API is in every Secret after a restart, and the keys stay", async () => {
  const before = await values("production-keystead");
  await keystead.end();
  keystead = installation.start("run", { KEYSTEAD_SERVICE_URL: "https://keystead.example/base" });
  await keystead.logged("caught up with what was there at the start");

  expect(await values("production-keystead")).toEqual({ ...before, KEYSTEAD_HOST: "https://keystead.example/base" });
});
