import { randomUUID } from "node:crypto";
import { createKeyEncryptionKeys, generateKeyEncryptionKey } from "../../src/crypto/kek.ts";
import { Secret } from "../../src/crypto/secret.ts";
import { tokenDigest } from "../../src/crypto/token.ts";
import { openDatabase, type Database, type DatabaseOptions } from "../../src/db/database.ts";
import type { DesiredConnection, StoredConnection } from "../../src/vault/connection.ts";
import type { ReigningVault, Vault } from "../../src/vault/context.ts";
import type { DesiredEnvironment } from "../../src/vault/environment.ts";
import type { DesiredIntegration } from "../../src/vault/integration.ts";
import type { HeldEnvironment } from "../../src/vault/lock-parents.ts";
import type { Actor, Owner } from "../../src/vault/owner.ts";
import { createReign } from "../../src/vault/reign.ts";
import { createReigningVault } from "../../src/vault/reigning-vault.ts";
import { storeConnection } from "../../src/vault/store-connection.ts";
import { storeEnvironment } from "../../src/vault/store-environment.ts";
import { storeIntegration } from "../../src/vault/store-integration.ts";
import { openVault } from "../../src/vault/vault.ts";
import { createGuardedDatabase } from "./servers.ts";

/** A vault on a database of its own, as one process has it. */
export interface TestVault extends AsyncDisposable {
  readonly vault: ReigningVault;
  readonly database: Database;
  /** The encryption key, for a second process on the same database. */
  readonly keyText: string;
  readonly url: string;
  readonly ownerUrl: string;
  /** A second process: pools, caches and batches of its own. It writes under the reign of the first. */
  another(options?: Partial<DatabaseOptions>): Promise<ReigningVault>;
  /** A second process that begins the next reign. */
  successor(): Promise<ReigningVault>;
}

/** The cluster all owners of these tests live in, and the release that manages them. */
const CLUSTER = "0b8f5f0e-9d7a-4c3e-8a65-2f1f3f0f9a01";
const RELEASE = "keystead";

export async function createTestVault(): Promise<TestVault> {
  const { url, ownerUrl, ...testDatabase } = await createGuardedDatabase();
  const keyText = generateKeyEncryptionKey();
  const databases: Database[] = [];
  const open = (options: Partial<DatabaseOptions> = {}): Database => {
    const database = openDatabase({ url: new Secret(url), applicationName: "keystead-test", poolSize: 4, ...options });
    databases.push(database);
    return database;
  };
  const keys = createKeyEncryptionKeys(new Secret(keyText));
  const database = open();
  const vault = await beginReign(await openVault({ database, keys }), "the first");
  return {
    vault,
    database,
    keyText,
    url,
    ownerUrl,
    another: async (options) => createReigningVault(await openVault({ database: open(options), keys }), vault.reign),
    successor: async () => beginReign(await openVault({ database: open(), keys }), "the successor"),
    async [Symbol.asyncDispose]() {
      await Promise.all(databases.map((one) => one[Symbol.asyncDispose]()));
      await testDatabase[Symbol.asyncDispose]();
    },
  };
}

/** Takes over from whoever wrote for the resources of these tests before. */
export async function beginReign(vault: Vault, holder: string): Promise<ReigningVault> {
  const reign = createReign(vault.database, { cluster: CLUSTER, release: RELEASE, holder });
  await reign.begin();
  return createReigningVault(vault, reign);
}

/** A resource that was just created. */
export function newOwner(name = "acme"): Owner {
  return { cluster: CLUSTER, release: RELEASE, namespace: "shop", name, uid: randomUUID() };
}

/** The actor that a resource's controller is. */
export function actorOf(owner: Owner): Actor {
  return { kind: "resource", owner: { ...owner, fieldManager: "kubectl" } };
}

export function desiredEnvironment(changes: Partial<DesiredEnvironment> = {}): DesiredEnvironment {
  return {
    owner: newOwner("production"),
    retentionSeconds: 31 * 86_400,
    variables: [{ name: "REGION", value: new Secret("eu") }],
    declaration: { variables: [{ name: "REGION", value: "eu" }] },
    sources: [],
    ...changes,
  };
}

export function desiredIntegration(
  { environmentId, environmentUid }: HeldEnvironment,
  changes: Partial<DesiredIntegration> = {},
): DesiredIntegration {
  const uniqueKey = changes.uniqueKey ?? "github";
  return {
    owner: newOwner(uniqueKey),
    environmentId,
    environmentUid,
    uniqueKey,
    provider: "github",
    client: { type: "OAUTH2", client_id: "Iv1.0123", client_secret: "client-secret-of-github", scopes: "repo" },
    declaration: { clientSecretRef: { name: "github-oauth", key: "client-secret" } },
    settings: { auth: { mode: "OAUTH2" }, scopes: ["repo"] },
    sources: [{ name: "github-oauth", uid: "a", resourceVersion: "1" }],
    ...changes,
  };
}

/** Where a Connection belongs, as the vault is told. */
export interface ParentIds extends HeldEnvironment {
  readonly integrationId: string;
}

export function desiredConnection(parents: ParentIds, changes: Partial<DesiredConnection> = {}): DesiredConnection {
  const connectionId = changes.connectionId ?? "acme";
  return {
    owner: newOwner(connectionId),
    ...parents,
    connectionId,
    credentials: apiKey("token-of-acme"),
    declaration: { apiKey: { apiKeyRef: { name: "acme", key: "token" } } },
    config: { subdomain: "acme" },
    tags: { team: "sales" },
    sources: [{ name: "acme", uid: "b", resourceVersion: "1" }],
    ...changes,
  };
}

export function apiKey(text: string): NonNullable<DesiredConnection["credentials"]> {
  return { type: "API_KEY", value: { type: "API_KEY", apiKey: text } };
}

/** An environment with an integration in it, and the digest of its secret key. */
export interface Parents {
  readonly environmentId: string;
  readonly integrationId: string;
  readonly keyDigest: Buffer;
  readonly environment: DesiredEnvironment;
  readonly integration: DesiredIntegration;
}

export async function storeParents(vault: ReigningVault): Promise<Parents> {
  const environment = desiredEnvironment();
  const { id: environmentId, secretKey } = await storeEnvironment(vault, environment);
  const integration = desiredIntegration({ environmentId, environmentUid: environment.owner.uid });
  const { id: integrationId } = await storeIntegration(vault, integration);
  return { environmentId, integrationId, keyDigest: tokenDigest(secretKey.reveal()), environment, integration };
}

/** A connection under new parents. */
export async function storeExample(
  vault: ReigningVault,
): Promise<Parents & { readonly desired: DesiredConnection; readonly stored: StoredConnection }> {
  const parents = await storeParents(vault);
  const desired = desiredConnection(idsOf(parents));
  return { ...parents, desired, stored: await storeConnection(vault, desired) };
}

/** Only the ids of parents, as a desired connection names them. */
export function idsOf({ environmentId, integrationId, environment }: Parents): ParentIds {
  return { environmentId, environmentUid: environment.owner.uid, integrationId };
}
