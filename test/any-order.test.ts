import { afterAll, expect, test } from "vitest";
import { applicationOf } from "./support/application.ts";
import { referenceTo } from "./support/cluster.ts";
import { createInstallation } from "./support/keystead.ts";
import { kstatusOf } from "./support/kstatus.ts";
import { canary } from "./support/leaks.ts";
import { connection, environment, integration, type Manifest, secret } from "./support/resources.ts";

// What is applied in whatever order becomes Ready when the last of it appears.

const installation = await createInstallation("order");
const { objects } = installation;
const keystead = installation.start("run");
await keystead.logged("caught up with what was there at the start");

afterAll(() => installation[Symbol.asyncDispose]());

/** A set of its own for each `name`, so that the sets cannot help each other. */
function setOf(name: string): Manifest[] {
  return [
    secret(name, { token: canary(name) }),
    environment(name),
    integration(name, name),
    connection(name, { environment: name, integration: name }),
  ];
}

function permutationsOf<T>(items: readonly T[], begun: readonly T[] = []): T[][] {
  if (items.length === 0) return [[...begun]];
  return items.flatMap((next, index) => permutationsOf(items.toSpliced(index, 1), [...begun, next]));
}

test("all 24 orders of Secret, Environment, Integration and Connection end Ready", async () => {
  const orders = permutationsOf([0, 1, 2, 3]).map((order, index) => {
    const set = setOf(`set-${index}`);
    return {
      connection: `connection/set-${index}` as const,
      inOrder: order.flatMap((position) => set[position] ?? []),
    };
  });
  expect(orders).toHaveLength(24);

  await Promise.all(
    orders.map(async ({ connection: reference, inOrder }) => {
      const last = inOrder.pop();
      await objects.apply(...inOrder);
      const early = await objects.find(reference);
      if (early) expect(kstatusOf(early)).toBe("InProgress");
      if (last) await objects.apply(last);
      await objects.ready(reference);
    }),
  );
});

test("a Connection that comes first says in turn what it waits for, and goes on when each appears", async () => {
  const [itsSecret, itsEnvironment, itsIntegration, itself] = setOf("patient");
  if (!itsSecret || !itsEnvironment || !itsIntegration || !itself) return expect.fail();
  const waitsFor = (reason: string) =>
    objects.reach("connection/patient", `Ready=Unknown ${reason}`, `Reconciling=True ${reason}`);

  await objects.apply(itself);
  await waitsFor("EnvironmentNotFound");
  await objects.apply(itsEnvironment);
  await waitsFor("IntegrationNotFound");
  await objects.apply(itsIntegration);
  await waitsFor("SecretNotFound");
  await objects.apply(itsSecret);

  await objects.reach("connection/patient", "Ready=True Succeeded");
  const application = await applicationOf(installation, keystead, "patient");
  expect(await application.credentials("patient", "patient")).toMatchObject({ type: "API_KEY" });
});

test("an Environment and an Integration wait for their Secrets, and what refers to them waits for them", async () => {
  const from = { name: "late", key: "value" };
  await objects.apply(
    connection("late", { environment: "late", integration: "late" }, { credentials: { apiKey: { apiKeyRef: from } } }),
    integration("late", "late", { clientIdRef: from }),
    environment("late", { variables: [{ name: "LATE", valueFrom: { secretKeyRef: from } }] }),
  );
  await objects.reach("environment/late", "Ready=Unknown SecretNotFound", "Reconciling=True SecretNotFound");
  await objects.reach("integration/late", "Ready=Unknown EnvironmentNotReady", "Reconciling=True EnvironmentNotReady");
  await objects.reach("connection/late", "Ready=Unknown EnvironmentNotReady", "Reconciling=True EnvironmentNotReady");

  await objects.apply(secret("late", { value: canary("late") }));

  await objects.ready("environment/late", "integration/late", "connection/late");
});

test("what was applied while no controller ran is taken up when one starts", async () => {
  await keystead.end();
  const manifests = setOf("downtime").toReversed();
  await objects.apply(...manifests);

  installation.start("run");

  await objects.ready(...manifests.filter(({ kind }) => kind !== "Secret").map(referenceTo));
});
