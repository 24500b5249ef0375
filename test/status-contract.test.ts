import { afterAll, expect, test } from "vitest";
import { eventually } from "./support/eventually.ts";
import { createInstallation } from "./support/keystead.ts";
import { kstatusOf } from "./support/kstatus.ts";
import { canary } from "./support/leaks.ts";
import { conditionOf, conditionsOf, connection, environment, integration, secret } from "./support/resources.ts";
import { breachesOf } from "./support/status-contract.ts";

// What kubectl wait, Flux and Argo CD read from the first second on. The versions of an object are those that a watch saw.

const installation = await createInstallation("status");
const { objects, history } = installation;
installation.start("controller");
const parents = { environment: "production", integration: "stripe" };
await objects.apply(
  environment("production"),
  integration("stripe", "production"),
  secret("token", { token: canary("token") }),
);
await objects.ready("environment/production", "integration/stripe");
const credentials = { apiKey: { apiKeyRef: { name: "token", key: "token" } } };

afterAll(() => installation[Symbol.asyncDispose]());

/** A step of an object's life: what kstatus makes of it, and its conditions. */
function stepsOf(reference: Parameters<typeof history.of>[0]): string[] {
  return history.of(reference).map((version) => [kstatusOf(version), ...conditionsOf(version)].join(", "));
}

test("a resource that can be stored at once is written twice: the finalizer, and Ready=True", async () => {
  await objects.apply(connection("fresh", parents, { credentials }));
  await objects.ready("connection/fresh");

  await eventually(() =>
    expect(stepsOf("connection/fresh")).toEqual(["InProgress", "InProgress", "Current, Ready=True Succeeded"]),
  );
});

test("an edit is in progress from the moment it is stored until its generation is observed", async () => {
  await objects.apply(connection("edited", parents, { credentials }));
  await objects.ready("connection/edited");
  await objects.apply(connection("edited", parents, { credentials, tags: { team: "sales" } }));
  await objects.ready("connection/edited");

  await eventually(() =>
    expect(stepsOf("connection/edited").slice(2)).toEqual([
      "Current, Ready=True Succeeded",
      "InProgress, Ready=True Succeeded",
      "Current, Ready=True Succeeded",
    ]),
  );
  const last = history.of("connection/edited").at(-1);
  expect(last?.status?.observedGeneration).toBe(2);
  expect(conditionOf(last, "Ready")?.observedGeneration).toBe(2);
});

test("a Ready resource whose edit has to wait keeps Ready, with the generation it was reached at", async () => {
  await objects.apply(connection("waiting", parents, { credentials }));
  await objects.ready("connection/waiting");
  const before = await objects.get("connection/waiting");

  const missing = { apiKey: { apiKeyRef: { name: "missing", key: "token" } } };
  await objects.apply(connection("waiting", parents, { credentials: missing }));
  const after = await objects.reach("connection/waiting", "Ready=True Succeeded", "Reconciling=True SecretNotFound");

  expect(conditionOf(after, "Ready")).toEqual(conditionOf(before, "Ready"));
  expect(kstatusOf(after)).toBe("InProgress");
});

test("a failure that only an edit mends is Failed for kstatus, and Current again after the edit", async () => {
  const wrong = { basic: { username: "acme", passwordRef: { name: "token", key: "token" } } };
  await objects.apply(connection("failing", parents, { credentials: wrong }));
  const failed = await objects.reach(
    "connection/failing",
    "Ready=False CredentialsMismatch",
    "Stalled=True CredentialsMismatch",
  );
  expect(kstatusOf(failed)).toBe("Failed");

  await objects.apply(connection("failing", parents, { credentials }));
  await objects.ready("connection/failing");

  await eventually(() =>
    expect(stepsOf("connection/failing")).toEqual([
      "InProgress",
      "Failed, Ready=False CredentialsMismatch, Stalled=True CredentialsMismatch",
      "InProgress, Ready=False CredentialsMismatch, Stalled=True CredentialsMismatch",
      "InProgress, Ready=False CredentialsMismatch, Stalled=True CredentialsMismatch",
      "Current, Ready=True Succeeded",
    ]),
  );
});

test("a suspended resource says so, is not reconciling, and goes on when it is resumed", async () => {
  await objects.apply(connection("paused", parents, { credentials }));
  await objects.ready("connection/paused");
  await objects.apply(connection("paused", parents, { credentials, suspend: true, tags: { team: "sales" } }));
  await objects.reach("connection/paused", "Ready=True Suspended");

  await objects.apply(connection("born-paused", parents, { credentials, suspend: true }));
  const never = await objects.reach("connection/born-paused", "Ready=Unknown Suspended");
  expect(never.metadata.finalizers, "nothing is stored, so nothing holds it").toBeUndefined();

  await objects.apply(connection("paused", parents, { credentials, tags: { team: "sales" } }));
  await objects.reach("connection/paused", "Ready=True Succeeded");
});

test("every kind tells its id, and an Environment the fingerprint of its key", async () => {
  const uuid = expect.stringMatching(/^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}$/);

  expect((await objects.get("environment/production")).status).toMatchObject({
    environmentId: uuid,
    publicKey: expect.stringMatching(/^ks_pk_/),
    secretKey: { fingerprint: expect.any(String), issuedAt: expect.stringMatching(/^\d{4}-.*Z$/) },
  });
  expect((await objects.get("integration/stripe")).status).toMatchObject({ integrationId: uuid });
  expect((await objects.get("connection/fresh")).status).toMatchObject({
    connectionId: uuid,
    credentials: { type: "API_KEY" },
  });
});

test("from creation to deletion no version of any object broke the contract", async () => {
  await objects.delete("connection/fresh", "connection/edited", "connection/failing");

  const lives = [...history.byUid.values()];
  expect(lives.length).toBeGreaterThan(5);
  expect(lives.flatMap(breachesOf)).toEqual([]);
});
