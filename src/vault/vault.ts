import { createInitializationVectors } from "../crypto/initialization-vectors.ts";
import type { KeyEncryptionKeys } from "../crypto/kek.ts";
import { createBatcher } from "../db/batch.ts";
import type { Database } from "../db/database.ts";
import { proveDurability } from "../db/durability.ts";
import { recordAuditReads } from "./audit-reads.ts";
import { createConnectionReader, createProxiedReader } from "./connection-reader.ts";
import type { Vault } from "./context.ts";
import { forgettingReplacedKeys } from "./current-data-key.ts";
import { createEnvironmentKeys } from "./environment-keys.ts";
import { proveKey } from "./prove-key.ts";

/** Rows of one insert of reads; more would only come together at rates that one process does not reach. */
const AUDIT_BATCH = 256;

/** One database and the keys it is sealed under; the schema must have been checked before. */
export interface OpenVaultOptions {
  readonly database: Database;
  readonly keys: KeyEncryptionKeys;
}

/**
 * Proves the key against the database, and that its commits last, before anything is served or reconciled, and makes the
 * vault. Rejects with `encryption_key_unknown`, whose message names the expected and the given fingerprints, or with a
 * `database_*` error, `database_not_durable` among them.
 */
export async function openVault({ database: plain, keys }: OpenVaultOptions): Promise<Vault> {
  await proveDurability(plain);
  const auditKeys = await proveKey(plain, keys);
  const environmentKeys = createEnvironmentKeys(plain, keys);
  const database = forgettingReplacedKeys(plain, environmentKeys);
  return {
    database,
    keys,
    ivs: createInitializationVectors(),
    environmentKeys,
    auditKeys,
    readConnectionRow: createConnectionReader(database, { recorded: true }),
    readProxiedRow: createProxiedReader(database),
    auditReads: createBatcher({ maxSize: AUDIT_BATCH, run: (reads) => recordAuditReads(database, reads) }),
  };
}
