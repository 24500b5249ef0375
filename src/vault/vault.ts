import { createInitializationVectors } from "../crypto/initialization-vectors.ts";
import type { KeyEncryptionKeys } from "../crypto/kek.ts";
import { createBatcher } from "../db/batch.ts";
import type { Database } from "../db/database.ts";
import { recordAuditReads } from "./audit-reads.ts";
import { readConnectionRows } from "./connection-reads.ts";
import type { Vault } from "./context.ts";
import { createEnvironmentKeys } from "./environment-keys.ts";
import { proveKey } from "./prove-key.ts";
import { storeConnections } from "./store-connection.ts";
import { storeIntegrations } from "./store-integration.ts";

/** 32 rows of 22 parameters make a statement that Postgres plans and runs in a few milliseconds. */
const STORE_BATCH = 32;

/**
 * While rows keep coming, a batch starts at most every 40 ms. Measured at 400 rows a second: alone each costs 1.8 ms of
 * processor time, here and in Postgres together; sixteen that share a statement and a commit cost under 0.5 ms each.
 * Longer gains little more. A row that comes alone waits for nothing.
 */
const STORE_INTERVAL_MS = 40;

/** Rows of one read; their answer, at 4 KiB each, is still read from the socket in a few pieces. */
const READ_BATCH = 64;

/** Rows of one insert of reads; more would only come together at rates that one process does not reach. */
const AUDIT_BATCH = 256;

/** One database and the keys it is sealed under; the schema must have been checked before. */
export interface OpenVaultOptions {
  readonly database: Database;
  readonly keys: KeyEncryptionKeys;
}

/**
 * Proves the key against the database before anything is served or reconciled, and makes the vault. Rejects with
 * `encryption_key_unknown`, whose message names the expected and the given fingerprints, or with a `database_*` error.
 */
export async function openVault({ database, keys }: OpenVaultOptions): Promise<Vault> {
  await proveKey(database, keys);
  const seals = {
    database,
    ivs: createInitializationVectors(),
    environmentKeys: createEnvironmentKeys(database, keys),
  };
  return {
    ...seals,
    keys,
    connectionBatch: createBatcher({
      maxSize: STORE_BATCH,
      minIntervalMs: STORE_INTERVAL_MS,
      run: (items) => storeConnections(seals, items),
    }),
    integrationBatch: createBatcher({
      maxSize: STORE_BATCH,
      minIntervalMs: STORE_INTERVAL_MS,
      run: (items) => storeIntegrations(seals, items),
    }),
    connectionReads: createBatcher({
      maxSize: READ_BATCH,
      run: (reads) => readConnectionRows(database, reads),
    }),
    auditReads: createBatcher({ maxSize: AUDIT_BATCH, run: (reads) => recordAuditReads(database, reads) }),
  };
}
