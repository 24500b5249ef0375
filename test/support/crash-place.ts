import { createKeyEncryptionKeys } from "../../src/crypto/kek.ts";
import { Secret } from "../../src/crypto/secret.ts";
import { tokenDigest } from "../../src/crypto/token.ts";
import { openDatabase } from "../../src/db/database.ts";
import { readConnection } from "../../src/vault/read-connection.ts";
import { openVault } from "../../src/vault/vault.ts";
import type { Objects } from "./cluster.ts";
import { query } from "./database.ts";
import { connection, environment, integration, type Manifest, type Observed, secret } from "./resources.ts";

/** A namespace in which a scenario is played once. */
export interface Place {
  readonly namespace: string;
  readonly objects: Objects;
  /** What the scenario wants to remember until it looks at the end. */
  readonly notes: Map<string, string>;
  /** Rows of one statement, whose first parameter is the namespace. */
  rows<Row extends object>(text: string, values?: unknown[]): Promise<Row[]>;
  /** What an application with that key gets: the API key of the connection, or why not. */
  served(key: string, connectionId?: string): Promise<string>;
}

/** Who plays there. */
export interface PlaceOptions {
  readonly namespace: string;
  readonly objects: Objects;
  readonly ownerUrl: string;
  readonly databaseUrl: string;
  /** Encryption key of the controller that ran last. */
  readonly encryptionKey: () => string;
}

export const PARENTS = { environment: "production", integration: "stripe" };

export function createPlace({ namespace, objects, ownerUrl, databaseUrl, encryptionKey }: PlaceOptions): Place {
  return {
    namespace,
    objects,
    notes: new Map(),
    rows: (text, values = []) => query(ownerUrl, text, [namespace, ...values]),
    async served(key, connectionId = "acme") {
      await using database = openDatabase({
        url: new Secret(databaseUrl),
        applicationName: "application",
        poolSize: 1,
      });
      const vault = await openVault({ database, keys: createKeyEncryptionKeys(new Secret(encryptionKey())) });
      const asked = { keyDigest: tokenDigest(key), providerConfigKey: PARENTS.integration, connectionId };
      const read = await readConnection(vault, asked);
      if (read.kind !== "found") return read.kind;
      const credentials: { apiKey?: string } = JSON.parse(read.connection.credentials?.reveal() ?? "{}");
      return credentials.apiKey ?? "nothing";
    },
  };
}

/** An Environment with an Integration, and a Connection that has `token`. */
export function folder(token: string): Record<"environment" | "integration" | "secret" | "connection", Manifest> {
  return {
    environment: environment(PARENTS.environment),
    integration: integration(PARENTS.integration, PARENTS.environment),
    secret: secret("acme", { token }),
    connection: connection("acme", PARENTS),
  };
}

/** A value of a Secret that is there, as a pod gets it. */
export async function secretValue(objects: Objects, name: string, key: string): Promise<string | undefined> {
  const found = await objects.find(`secret/${name}`);
  const value = found?.data?.[key];
  return value === undefined ? undefined : Buffer.from(value, "base64").toString();
}

/** The key that the Environment's Secret hands out. */
export async function keyIn(objects: Objects): Promise<string> {
  return (await secretValue(objects, `${PARENTS.environment}-keystead`, "KEYSTEAD_SECRET_KEY")) ?? "none";
}

/** Ids by which the rows of the folder can be restored. */
export async function noteIds(place: Place): Promise<void> {
  const fields = { "environment/production": "environmentId", "integration/stripe": "integrationId" } as const;
  for (const [reference, field] of Object.entries({ ...fields, "connection/acme": "connectionId" })) {
    const object: Observed = await place.objects.get(reference as "connection/acme");
    place.notes.set(reference, String(object.status?.[field]));
  }
  place.notes.set("key", await keyIn(place.objects));
}
