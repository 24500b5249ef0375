import { randomUUID } from "node:crypto";
import { createKeyEncryptionKeys, generateKeyEncryptionKey } from "../../src/crypto/kek.ts";
import { Secret } from "../../src/crypto/secret.ts";
import { tokenDigest } from "../../src/crypto/token.ts";
import { openDatabase, type Database, type DatabaseOptions } from "../../src/db/database.ts";
import type { DesiredConnection, StoredConnection } from "../../src/vault/connection.ts";
import type { Vault } from "../../src/vault/context.ts";
import type { DesiredEnvironment } from "../../src/vault/environment.ts";
import type { DesiredIntegration } from "../../src/vault/integration.ts";
import type { Actor, Owner } from "../../src/vault/owner.ts";
import { storeConnection } from "../../src/vault/store-connection.ts";
import { storeEnvironment } from "../../src/vault/store-environment.ts";
import { storeIntegration } from "../../src/vault/store-integration.ts";
import { openVault } from "../../src/vault/vault.ts";
import { createDatabase } from "./servers.ts";

/** A vault on a database of its own, as one process has it. */
export interface TestVault extends AsyncDisposable {
  readonly vault: Vault;
  readonly database: Database;
  /** The encryption key, for a second process on the same database. */
  readonly keyText: string;
  readonly url: string;
  readonly ownerUrl: string;
  /** A second process: pools, caches and batches of its own. */
  another(options?: Partial<DatabaseOptions>): Promise<Vault>;
}

/** The cluster all owners of these tests live in. */
const CLUSTER = "0b8f5f0e-9d7a-4c3e-8a65-2f1f3f0f9a01";

export async function createTestVault(): Promise<TestVault> {
  const { url, ownerUrl, ...testDatabase } = await createDatabase();
  const keyText = generateKeyEncryptionKey();
  const databases: Database[] = [];
  const another = async (options: Partial<DatabaseOptions> = {}): Promise<Vault> => {
    const database = openDatabase({ url: new Secret(url), applicationName: "keystead-test", poolSize: 4, ...options });
    databases.push(database);
    return openVault({ database, keys: createKeyEncryptionKeys(new Secret(keyText)) });
  };
  const vault = await another();
  return {
    vault,
    database: vault.database,
    keyText,
    url,
    ownerUrl,
    another,
    async [Symbol.asyncDispose]() {
      await Promise.all(databases.map((database) => database[Symbol.asyncDispose]()));
      await testDatabase[Symbol.asyncDispose]();
    },
  };
}

/** A resource that was just created. */
export function newOwner(name = "acme"): Owner {
  return { cluster: CLUSTER, release: "keystead", namespace: "shop", name, uid: randomUUID() };
}

/** The actor that a resource's controller is. */
export function actorOf(owner: Owner): Actor {
  return { kind: "resource", owner, fieldManager: "kubectl" };
}

export function desiredEnvironment(changes: Partial<DesiredEnvironment> = {}): DesiredEnvironment {
  return {
    owner: newOwner("production"),
    retentionSeconds: 31 * 86_400,
    variables: [{ name: "REGION", value: new Secret("eu") }],
    declaration: { variables: [{ name: "REGION", value: "eu" }] },
    sources: [],
    fieldManager: "kubectl",
    ...changes,
  };
}

export function desiredIntegration(
  environmentId: string,
  changes: Partial<DesiredIntegration> = {},
): DesiredIntegration {
  const uniqueKey = changes.uniqueKey ?? "github";
  return {
    owner: newOwner(uniqueKey),
    environmentId,
    uniqueKey,
    provider: "github",
    client: { type: "OAUTH2", client_id: "Iv1.0123", client_secret: "client-secret-of-github", scopes: "repo" },
    declaration: { clientSecretRef: { name: "github-oauth", key: "client-secret" } },
    settings: { auth: { mode: "OAUTH2" }, scopes: ["repo"] },
    sources: [{ name: "github-oauth", uid: "a", resourceVersion: "1" }],
    ...changes,
  };
}

export function desiredConnection(
  parents: { readonly environmentId: string; readonly integrationId: string },
  changes: Partial<DesiredConnection> = {},
): DesiredConnection {
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
    fieldManager: "kubectl",
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

export async function storeParents(vault: Vault): Promise<Parents> {
  const environment = desiredEnvironment();
  const { id: environmentId, secretKey } = await storeEnvironment(vault, environment);
  const integration = desiredIntegration(environmentId);
  const { id: integrationId } = await storeIntegration(vault, integration);
  return { environmentId, integrationId, keyDigest: tokenDigest(secretKey.reveal()), environment, integration };
}

/** A connection under new parents. */
export async function storeExample(
  vault: Vault,
): Promise<Parents & { readonly desired: DesiredConnection; readonly stored: StoredConnection }> {
  const parents = await storeParents(vault);
  const desired = desiredConnection(idsOf(parents));
  return { ...parents, desired, stored: await storeConnection(vault, desired) };
}

/** Only the ids of parents, as a desired connection names them. */
export function idsOf({ environmentId, integrationId }: Parents): { environmentId: string; integrationId: string } {
  return { environmentId, integrationId };
}
