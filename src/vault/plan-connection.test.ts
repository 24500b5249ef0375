import { createSecretKey, randomBytes } from "node:crypto";
import { expect, test } from "vitest";
import { apiKey, desiredConnection } from "../../test/support/vault.ts";
import { createInitializationVectors } from "../crypto/initialization-vectors.ts";
import { generateDataKey, importDataKey, openValue, type SealedLabel } from "../crypto/sealed-value.ts";
import { uuidv7 } from "../crypto/uuid.ts";
import type { DesiredConnection, StoredConnection } from "./connection.ts";
import type { ConnectionRow } from "./connection-statements.ts";
import { grantFirstEncryptions } from "./encryption-budget.ts";
import type { EnvironmentKeySet } from "./environment-keys.ts";
import { planConnection } from "./plan-connection.ts";
import type { Seals } from "./seal.ts";
import type { StorePlan } from "./store-rows.ts";

const environmentId = uuidv7();
const activeKey = importDataKey(uuidv7(), generateDataKey());
const vault = keysInMemory();
const desired = desiredConnection({ environmentId, environmentUid: uuidv7(), integrationId: uuidv7() });

test("a connection that was never stored is inserted whole, at revision 1, with a new id", async () => {
  const plan = written(await planConnection(vault, desired, undefined));
  expect(plan.kind).toBe("insert");
  expect(plan.stored).toMatchObject({ revision: 1, changed: true, credentialsType: "API_KEY" });
  expect(opened(plan.row, "credentials_sealed", plan.stored)).toBe('{"type":"API_KEY","apiKey":"token-of-acme"}');
  expect(opened(plan.row, "config_sealed", plan.stored)).toBe('{"subdomain":"acme"}');
  expect(plan.row).toMatchObject({ revision: 0, owner_uid: desired.owner.uid, metadata: null, end_user: null });
});

test("one that says the same is settled, and nothing is sealed for it", async () => {
  const state = await storedState(desired);
  const plan = await planConnection(vault, { ...desired, owner: desired.owner }, state);
  expect(plan).toEqual({ kind: "settled", stored: { ...state, changed: false } });
});

test.each<[string, Partial<DesiredConnection>, string, Partial<ConnectionRow>]>([
  [
    "other credentials",
    { credentials: apiKey("new") },
    "credentials",
    { replaces_credentials: true, config_sealed: null },
  ],
  ["another config", { config: { region: "eu" } }, "config", { replaces_credentials: false, credentials_sealed: null }],
  ["other tags", { tags: {} }, "rest", { replaces_credentials: false, config_sealed: null, tags: "{}" }],
  ["an end user", { endUser: { id: "42" } }, "rest", { end_user: '{"id":"42"}' }],
  ["metadata", { metadata: { plan: "pro" } }, "rest", { metadata: '{"plan":"pro"}' }],
  [
    "another key of the same Secret",
    { declaration: { apiKeyRef: "other" } },
    "declaration",
    { replaces_credentials: false },
  ],
  [
    "another integration",
    { integrationId: uuidv7() },
    "integration",
    { config_sealed: null, replaces_credentials: false },
  ],
  [
    "no credentials",
    { credentials: undefined, declaration: null },
    "declaration,credentials",
    { replaces_credentials: true, credentials_sealed: null, credentials_type: null },
  ],
  ["only newer Secrets", { sources: [] }, "", { config_sealed: null, replaces_credentials: false, sources: "[]" }],
])("%s: only that is written", async (_, edit, changed, row) => {
  const plan = written(await planConnection(vault, { ...desired, ...edit }, await storedState(desired)));
  expect(plan.kind).toBe("update");
  expect(plan.row).toMatchObject({ revision: 1, changed, ...row });
  expect(plan.stored).toMatchObject({ revision: changed === "" ? 1 : 2, changed: changed !== "" });
});

test("a part is sealed for the revision that its row is about to have", async () => {
  const edit = { ...desired, credentials: apiKey("new") };
  const plan = written(await planConnection(vault, edit, await storedState(desired)));
  expect(opened(plan.row, "credentials_sealed", plan.stored)).toContain("new");
  expect(() => opened(plan.row, "credentials_sealed", { ...plan.stored, revision: 1 })).toThrow(
    expect.objectContaining({ code: "sealed_value_invalid" }),
  );
});

test("credentials that were not read keep digest, type and expiry", async () => {
  const expiresAt = new Date("2026-12-01T00:00:00Z");
  const expiring = { ...desired, credentials: { type: "OAUTH2", value: { access_token: "a" }, expiresAt } } as const;
  const state = await storedState(expiring);
  const plan = written(await planConnection(vault, { ...expiring, credentials: "unchanged", tags: {} }, state));
  expect(plan.stored).toMatchObject({
    credentialsType: "OAUTH2",
    credentialsExpiresAt: expiresAt,
    digests: { credentials: state.digests.credentials },
  });
  expect(plan.row.credentials_digest).toBe(state.digests.credentials);
});

test.each<[string, boolean, Partial<DesiredConnection>]>([
  ["nothing is stored", false, {}],
  ["they are declared otherwise", true, { declaration: { basic: {} } }],
])("credentials have to be read when %s", async (_, isStored, edit) => {
  const state = isStored ? await storedState(desired) : undefined;
  const unread = { ...desired, ...edit, credentials: "unchanged" as const };
  await expect(planConnection(vault, unread, state)).rejects.toMatchObject({ code: "row_changed" });
});

test("a row of the same resource in another environment is not this connection", async () => {
  const elsewhere = { ...(await storedState(desired)), environmentId: uuidv7() };
  const plan = written(await planConnection(vault, desired, elsewhere));
  expect(plan.kind).toBe("insert");
  expect(plan.stored.id).not.toBe(elsewhere.id);
});

test("a value that is no plain JSON is refused before anything is written", async () => {
  const broken: DesiredConnection = { ...desired, declaration: new Map() };
  await expect(planConnection(vault, broken, undefined)).rejects.toMatchObject({ code: "json_not_canonical" });
});

/** Keys of one environment and nothing behind them: planning asks for no more. */
function keysInMemory(): Seals {
  const keySet: EnvironmentKeySet = {
    activeKey,
    dataKeys: new Map([[activeKey.id, activeKey]]),
    digestKey: createSecretKey(randomBytes(32)),
  };
  grantFirstEncryptions(keySet);
  return {
    ivs: createInitializationVectors(),
    database: { query: () => expect.unreachable() },
    environmentKeys: {
      of: async () => keySet,
      open: () => expect.unreachable(),
      forget: () => undefined,
      put: () => expect.unreachable(),
    },
  };
}

async function storedState(connection: DesiredConnection): Promise<StoredConnection> {
  const { stored } = await planConnection(vault, connection, undefined);
  return stored;
}

function written(plan: StorePlan<ConnectionRow, StoredConnection>) {
  return plan.kind === "settled" ? expect.unreachable() : plan;
}

function opened(row: ConnectionRow, column: "credentials_sealed" | "config_sealed", stored: StoredConnection): string {
  const labels: Record<typeof column, SealedLabel> = {
    credentials_sealed: "connection.credentials",
    config_sealed: "connection.config",
  };
  const sealed = row[column];
  if (!Buffer.isBuffer(sealed)) expect.unreachable();
  return openValue(activeKey, sealed, {
    label: labels[column],
    environmentId,
    rowId: stored.id,
    revision: stored.revision,
  });
}
