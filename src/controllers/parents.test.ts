import { afterAll, beforeAll, expect, test } from "vitest";
import { parsedConnection, parsedEnvironment, parsedIntegration } from "../../test/support/parsed-resources.ts";
import {
  createTestVault,
  type Parents as StoredParents,
  storeParents,
  type TestVault,
} from "../../test/support/vault.ts";
import type { Environment } from "../resources/environment.ts";
import type { Integration } from "../resources/integration.ts";
import { findParents, refuseIntegration } from "./parents.ts";
import { createRows } from "./rows.ts";

let context: TestVault;
let stored: StoredParents;

beforeAll(async () => {
  context = await createTestVault();
  stored = await storeParents(context.vault);
});
afterAll(() => context[Symbol.asyncDispose]());

/** What `findParents` makes of a Connection when these are all the other resources there are. */
function find(environment: Environment | undefined, integration: Integration | undefined) {
  return findParents(
    {
      environments: { get: () => environment && { ok: true, value: environment } },
      integrations: { get: () => integration && { ok: true, value: integration } },
      rows: createRows(context.vault),
    },
    parsedConnection(),
  );
}

function storedEnvironment(metadata: object = {}): Environment {
  const { uid } = stored.environment.owner;
  return parsedEnvironment("production", {}, { uid, finalizers: ["keystead.dev/finalizer"], ...metadata });
}

function storedIntegration(metadata: object = {}): Integration {
  const { uid } = stored.integration.owner;
  return parsedIntegration("stripe", {}, { uid, finalizers: ["keystead.dev/finalizer"], ...metadata });
}

const deleted = { deletionTimestamp: "2026-11-24T07:00:00Z" };

test("both parents are found with the ids of their rows", async () => {
  expect(await find(storedEnvironment(), storedIntegration())).toMatchObject({
    kind: "parents",
    environmentId: stored.environmentId,
    integrationId: stored.integrationId,
  });
});

test.each([
  {
    what: "no Environment",
    environment: () => undefined,
    integration: storedIntegration,
    reason: "EnvironmentNotFound",
  },
  {
    what: "one that is being deleted",
    environment: () => storedEnvironment(deleted),
    integration: storedIntegration,
    reason: "EnvironmentNotFound",
  },
  {
    what: "one that was not stored yet",
    environment: () => parsedEnvironment(),
    integration: storedIntegration,
    reason: "EnvironmentNotReady",
  },
  {
    what: "no Integration",
    environment: storedEnvironment,
    integration: () => undefined,
    reason: "IntegrationNotFound",
  },
  {
    what: "one that is being deleted",
    environment: storedEnvironment,
    integration: () => storedIntegration(deleted),
    reason: "IntegrationNotFound",
  },
  {
    what: "one that was not stored yet",
    environment: storedEnvironment,
    integration: () => parsedIntegration(),
    reason: "IntegrationNotReady",
  },
])("$reason is waited for: $what", async ({ environment, integration, reason }) => {
  expect(await find(environment(), integration())).toMatchObject({ kind: "waiting", reason });
});

test("an Integration that cannot be read is waited for, although its row is there", async () => {
  const { spec: _, ...value } = storedIntegration();
  const outcome = await findParents(
    {
      environments: { get: () => ({ ok: true, value: storedEnvironment() }) },
      integrations: { get: () => ({ ok: false, message: "spec is wrong.", value }) },
      rows: createRows(context.vault),
    },
    parsedConnection(),
  );
  expect(outcome).toMatchObject({ kind: "waiting", reason: "IntegrationNotReady" });
});

test.each([
  { allowed: undefined, labels: {}, lets: true, why: "everybody is allowed" },
  { allowed: {}, labels: {}, lets: true, why: "an empty selector selects everything" },
  { allowed: { matchLabels: { team: "sales" } }, labels: { team: "sales" }, lets: true, why: "the label is there" },
  { allowed: { matchLabels: { team: "sales" } }, labels: { team: "legal" }, lets: false, why: "it has another value" },
  { allowed: { matchLabels: { team: "sales" } }, labels: {}, lets: false, why: "it has no label" },
])("allowedConnections $allowed lets $labels in: $lets, because $why", ({ allowed, labels, lets }) => {
  const integration = parsedIntegration("stripe", { allowedConnections: allowed });
  const refused = refuseIntegration(integration, parsedConnection("acme", {}, { labels }));
  expect(refused).toEqual(lets ? undefined : expect.objectContaining({ reason: "IntegrationForbidden" }));
});

test("bad case 8: an Integration of another Environment is refused, and the message names both", () => {
  const integration = parsedIntegration("stripe", { environmentRef: { name: "staging" } });
  const refused = refuseIntegration(integration, parsedConnection());
  expect(refused).toMatchObject({ kind: "stalled", reason: "EnvironmentMismatch" });
  expect(refused && "message" in refused && refused.message).toMatch(/staging.*production/);
});

test("an Integration of another Environment is told as such, although no row of it is in this one", async () => {
  const integration = parsedIntegration("stripe", { environmentRef: { name: "staging" } });
  expect(await find(storedEnvironment(), integration)).toMatchObject({ reason: "EnvironmentMismatch" });
});
