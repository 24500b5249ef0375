import { afterAll, beforeAll, expect, test } from "vitest";
import { createTestVault, desiredConnection, desiredIntegration, idsOf } from "../../test/support/vault.ts";
import { storeExample, storeParents, type TestVault } from "../../test/support/vault.ts";
import { listConnections, type ListConnectionsOptions } from "./list-connections.ts";
import { listIntegrations } from "./list-integrations.ts";
import { readIntegration } from "./read-integration.ts";
import { storeConnection } from "./store-connection.ts";
import { storeIntegration } from "./store-integration.ts";

const ENTRIES = [
  { connectionId: "acme", tags: { team: "sales", plan: "pro" }, endUser: { id: "u1", email: "Ann@acme.example" } },
  { connectionId: "globex", tags: { team: "sales" }, endUser: { id: "u2", organization: { id: "globex" } } },
  { connectionId: "initech", tags: {}, endUser: { id: "u3", displayName: "Bill Lumbergh" } },
  { connectionId: "50%_off", tags: { team: "support" } },
];

/** One environment with the entries in it, for all cases: they only read. */
let shared: { readonly context: TestVault; readonly keyDigest: Buffer };

beforeAll(async () => {
  const context = await createTestVault();
  const parents = await storeParents(context.vault);
  for (const entry of ENTRIES) await storeConnection(context.vault, desiredConnection(idsOf(parents), entry));
  shared = { context, keyDigest: parents.keyDigest };
});

afterAll(() => shared.context[Symbol.asyncDispose]());

test.each<[string, Partial<ListConnectionsOptions>, string[]]>([
  ["no filter, newest first", {}, ["50%_off", "initech", "globex", "acme"]],
  ["an id", { connectionId: "acme" }, ["acme"]],
  ["an id that is only a part of one", { connectionId: "acm" }, []],
  ["a part of an id, in whatever case", { search: "GLOB" }, ["globex"]],
  ["a part of an email", { search: "ann@" }, ["acme"]],
  ["a part of a display name", { search: "lumb" }, ["initech"]],
  ["characters that mean something in patterns", { search: "%_o" }, ["50%_off"]],
  ["an end user", { endUserId: "u2" }, ["globex"]],
  ["an end user's organization", { endUserOrganizationId: "globex" }, ["globex"]],
  ["a tag", { tags: { team: "sales" } }, ["globex", "acme"]],
  ["two tags", { tags: { team: "sales", plan: "pro" } }, ["acme"]],
  ["an integration", { integrationIds: ["github"] }, ["50%_off", "initech", "globex", "acme"]],
  ["an unknown integration", { integrationIds: ["gitlab"] }, []],
  ["no integration at all", { integrationIds: [] }, []],
  [
    "everything at once",
    { search: "u1", tags: { plan: "pro" }, endUserId: "u1", integrationIds: ["github"] },
    ["acme"],
  ],
  ["a page", { limit: 2, offset: 1 }, ["initech", "globex"]],
  ["a page past the end", { limit: 2, offset: 9 }, []],
])("connections are listed by %s", async (_, filter, expected) => {
  const { context, keyDigest } = shared;
  const listed = await listConnections(context.vault, { keyDigest, limit: 100, offset: 0, ...filter });
  expect(listed.kind === "found" && listed.connections.map(({ connectionId }) => connectionId)).toEqual(expected);
});

test("a list holds one environment's connections and nothing secret", async () => {
  await using context = await createTestVault();
  const { keyDigest, stored } = await storeExample(context.vault);
  await storeExample(context.vault);
  const listed = await listConnections(context.vault, { keyDigest, limit: 100, offset: 0 });
  expect(listed).toMatchObject({ kind: "found", connections: [{ id: stored.id, providerConfigKey: "github" }] });
  expect(JSON.stringify(listed)).not.toContain("token-of-acme");
  expect(listed).not.toHaveProperty("connections.0.config");
});

test("integrations are listed by name and read one by one; the client comes only when it is asked for", async () => {
  await using context = await createTestVault();
  const { integration, keyDigest, integrationId } = await storeParents(context.vault);
  await storeIntegration(context.vault, desiredIntegration(integration, { uniqueKey: "asana", client: undefined }));
  expect(await listIntegrations(context.vault, { keyDigest })).toMatchObject({
    kind: "found",
    integrations: [{ uniqueKey: "asana" }, { uniqueKey: "github", id: integrationId, settings: { scopes: ["repo"] } }],
  });
  const read = (uniqueKey: string, withClient: boolean) =>
    readIntegration(context.vault, { keyDigest, uniqueKey, withClient });
  expect(await read("github", false)).toMatchObject({ kind: "found", integration: { client: undefined } });
  expect(await read("asana", true)).toMatchObject({ kind: "found", integration: { client: undefined } });
  expect(await read("gitlab", true)).toEqual({ kind: "not_found" });
  const withClient = await read("github", true);
  expect(withClient.kind === "found" && withClient.integration.client?.reveal()).toContain("client-secret-of-github");
  const events = await context.database.query(
    "select target_id from keystead.audit_events where action = 'integration.client-read'",
  );
  expect(events).toEqual([{ target_id: integrationId }]);
});

test("an unknown key lists nothing and says so", async () => {
  await using context = await createTestVault();
  const keyDigest = Buffer.alloc(32);
  expect(await listConnections(context.vault, { keyDigest, limit: 1, offset: 0 })).toEqual({ kind: "unknown_key" });
  expect(await listIntegrations(context.vault, { keyDigest })).toEqual({ kind: "unknown_key" });
  expect(await readIntegration(context.vault, { keyDigest, uniqueKey: "github", withClient: true })).toEqual({
    kind: "unknown_key",
  });
});

test("an environment with nothing in it lists nothing", async () => {
  await using context = await createTestVault();
  const { keyDigest } = await storeParents(context.vault);
  expect(await listConnections(context.vault, { keyDigest, limit: 1, offset: 0 })).toEqual({
    kind: "found",
    connections: [],
  });
});
