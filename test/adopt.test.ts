import { afterAll, beforeAll, expect, test } from "vitest";
import { type Application, applicationOf } from "./support/application.ts";
import { query } from "./support/database.ts";
import { createInstallation } from "./support/keystead.ts";
import type { KeysteadProcess } from "./support/keystead-process.ts";
import { canary } from "./support/leaks.ts";
import { connection, environment, integration, type Manifest, secret } from "./support/resources.ts";

// An Environment takes over what another one of its own namespace has, whose Integration and Connection are still there.

const installation = await createInstallation("adopt");
const { objects, database } = installation;
const FORMER = { environment: "former", integration: "stripe" };
const token = canary("token");
let keystead: KeysteadProcess;
let application: Application;

beforeAll(async () => {
  keystead = installation.start("run");
  await objects.apply(
    environment("former"),
    integration("stripe", "former"),
    secret("acme", { token }),
    connection("acme", FORMER),
  );
  await objects.ready("environment/former", "integration/stripe", "connection/acme");
  application = await applicationOf(installation, keystead, "former");
});

afterAll(() => installation[Symbol.asyncDispose]());

async function adopting(name: string, former: string): Promise<Manifest> {
  const { status } = await objects.get(`environment/${former}`);
  return environment(name, {
    adopt: {
      environmentId: status?.["environmentId"],
      secretKeyRef: { name: `${former}-keystead`, key: "KEYSTEAD_SECRET_KEY" },
    },
  });
}

async function ownersOfRows(): Promise<unknown> {
  return query(
    database.ownerUrl,
    `select 'integration' as kind, claimed, deleted_at from keystead.integrations
      union all select 'connection', claimed, deleted_at from keystead.connections order by kind`,
  );
}

const WAITING = [
  { kind: "connection", claimed: false, deleted_at: null },
  { kind: "integration", claimed: false, deleted_at: null },
];

test("a controller that finds the takeover when it starts gives nothing of it to the resources of the former Environment", async () => {
  const manifest = await adopting("successor", "former");
  await keystead.end();
  await objects.apply(manifest);
  keystead = installation.start("run");
  await objects.ready("environment/successor");
  await keystead.logged("caught up with what was there at the start");
  await objects.reach("environment/former", "Ready=False Superseded", "Stalled=True Superseded");
  await objects.reach("integration/stripe", "Ready=False EnvironmentNotReady", "Reconciling=True EnvironmentNotReady");
  await objects.reach("connection/acme", "Ready=False EnvironmentNotReady", "Reconciling=True EnvironmentNotReady");

  expect(await ownersOfRows()).toEqual(WAITING);
  application = await applicationOf(installation, keystead, "successor");
  expect(await application.credentials("acme", "stripe")).toMatchObject({ apiKey: token });
});

test("the former resources can be edited and deleted, and the successor's credentials are served as before", async () => {
  await objects.patch("connection/acme", { spec: { tags: { team: "former" } } });
  await objects.reach("connection/acme", "Ready=False EnvironmentNotReady", "Reconciling=True EnvironmentNotReady");
  await objects.delete("connection/acme", "integration/stripe", "environment/former");

  expect(await ownersOfRows()).toEqual(WAITING);
  expect(await application.credentials("acme", "stripe")).toMatchObject({ apiKey: token });
});

test("made anew under the successor, they have the same rows again", async () => {
  const place = { environment: "successor", integration: "stripe" };
  await objects.apply(integration("stripe", "successor"), connection("acme", place));
  await objects.ready("integration/stripe", "connection/acme");
  expect(await ownersOfRows()).toMatchObject([{ claimed: true }, { claimed: true }]);
  expect(await application.credentials("acme", "stripe")).toMatchObject({ apiKey: token });
});

test("an edit right after a takeover, before the former Environment has heard of it, takes nothing back", async () => {
  await objects.apply(await adopting("third", "successor"));
  await objects.ready("environment/third");
  await objects.patch("connection/acme", { spec: { tags: { team: "former" } } });
  await objects.reach("environment/successor", "Ready=False Superseded", "Stalled=True Superseded");
  await objects.reach("connection/acme", "Ready=False EnvironmentNotReady", "Reconciling=True EnvironmentNotReady");
  expect(await ownersOfRows()).toEqual(WAITING);
});

test("an Environment that came back by restoreFrom is superseded as well, and revives nothing when its successor goes", async () => {
  const { status } = await objects.get("environment/third");
  await objects.delete("environment/third");
  await objects.apply(environment("third", { restoreFrom: status?.["environmentId"] }));
  await objects.ready("environment/third");
  await objects.apply(await adopting("fourth", "third"));
  await objects.ready("environment/fourth");
  await objects.reach("environment/third", "Ready=False Superseded", "Stalled=True Superseded");

  await objects.delete("environment/fourth");
  await objects.patch("environment/third", { spec: { retention: "40d" } });
  await objects.reach("environment/third", "Ready=False Superseded", "Stalled=True Superseded");
  const living = await query(
    database.ownerUrl,
    "select from keystead.environments where environment_id = $1 and deleted_at is null",
    [status?.["environmentId"]],
  );
  expect(living).toEqual([]);
});
