import { expect, test } from "vitest";
import { createTestVault, desiredIntegration, newOwner, storeParents } from "../../test/support/vault.ts";
import { describeIntegrations } from "./describe-integrations.ts";
import { integrationDigestsOf, isSettledIntegration } from "./integration.ts";
import { readIntegration } from "./read-integration.ts";
import { storeIntegration } from "./store-integration.ts";

test("an integration is created, settled, and rewritten only where it differs", async () => {
  await using context = await createTestVault();
  const { integration, integrationId } = await storeParents(context.vault);
  expect(await storeIntegration(context.vault, integration)).toMatchObject({
    id: integrationId,
    revision: 1,
    changed: false,
  });

  const renamed = { ...integration, displayName: "GitHub", client: "unchanged" as const };
  expect(await storeIntegration(context.vault, renamed)).toMatchObject({
    id: integrationId,
    revision: 2,
    changed: true,
  });
  const rows = await context.database.query(
    "select display_name, client_revision, revision from keystead.integrations where client_sealed is not null",
  );
  expect(rows).toEqual([{ display_name: "GitHub", client_revision: 1, revision: 2 }]);
  const events = await context.database.query(
    "select action, fields from keystead.audit_events where target_id = $1 order by event_id",
    [integrationId],
  );
  expect(events).toEqual([
    { action: "integration.created", fields: [] },
    { action: "integration.updated", fields: ["rest"] },
  ]);
});

test("a new client secret is served at once, and a client that is no longer declared is gone", async () => {
  await using context = await createTestVault();
  const { integration, keyDigest } = await storeParents(context.vault);
  const readClient = async (): Promise<string | undefined> => {
    const read = await readIntegration(context.vault, { keyDigest, uniqueKey: "github", withClient: true });
    return read.kind === "found" ? read.integration.client?.reveal() : read.kind;
  };
  await storeIntegration(context.vault, { ...integration, client: { type: "OAUTH2", client_secret: "second" } });
  expect(await readClient()).toBe('{"type":"OAUTH2","client_secret":"second"}');
  await storeIntegration(context.vault, { ...integration, client: undefined, declaration: null });
  expect(await readClient()).toBeUndefined();
});

test("describing and digesting tell that nothing has to be done, without a write", async () => {
  await using context = await createTestVault();
  const { integration, environmentId } = await storeParents(context.vault);
  const states = await describeIntegrations(context.vault, [integration.owner.uid]);
  const state = states.get(integration.owner.uid) ?? expect.unreachable();
  const digests = await integrationDigestsOf(context.vault, environmentId, { ...integration, client: "unchanged" });
  expect(isSettledIntegration(state, digests, integration.sources)).toBe(true);
  expect(isSettledIntegration(state, digests, [])).toBe(false);
  const edited = await integrationDigestsOf(context.vault, environmentId, { ...integration, provider: "gitlab" });
  expect(isSettledIntegration(state, edited, integration.sources)).toBe(false);
});

test("a key that another resource holds is not taken over", async () => {
  await using context = await createTestVault();
  const { integration } = await storeParents(context.vault);
  const rival = desiredIntegration(integration, { owner: newOwner("rival") });
  await expect(storeIntegration(context.vault, rival)).rejects.toMatchObject({
    code: "integration_key_in_use",
    details: { holder: { uid: integration.owner.uid } },
  });
});

test("an integration needs an environment that is alive, and the revision its caller saw", async () => {
  await using context = await createTestVault();
  const { integration } = await storeParents(context.vault);
  const nowhere = { ...integration, environmentId: "00000000-0000-7000-8000-000000000000" };
  await expect(storeIntegration(context.vault, nowhere)).rejects.toMatchObject({ code: "environment_gone" });
  const stale = { ...integration, expectedRevision: 7 };
  await expect(storeIntegration(context.vault, stale)).rejects.toMatchObject({ code: "row_changed" });
  const unread = { ...integration, client: "unchanged" as const, declaration: { clientSecretRef: { name: "other" } } };
  await expect(storeIntegration(context.vault, unread)).rejects.toMatchObject({ code: "row_changed" });
});

test("two processes that store one resource for the first time end with one row", async () => {
  await using context = await createTestVault();
  const { integration } = await storeParents(context.vault);
  const desired = desiredIntegration(integration, { uniqueKey: "hubspot" });
  const processes = await Promise.all([context.another(), context.another(), context.another()]);
  const stored = await Promise.all(processes.map((vault) => storeIntegration(vault, desired)));
  expect(new Set(stored.map(({ id }) => id)).size).toBe(1);
});
