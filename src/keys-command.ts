import { alignedTable } from "./aligned-table.ts";
import { loadConfig } from "./config.ts";
import { createKeyEncryptionKeys } from "./crypto/kek.ts";
import { type Database, openDatabase } from "./db/database.ts";
import { checkSchema } from "./db/migrate.ts";
import { type EncryptionKeysReport, listEncryptionKeys } from "./vault/list-encryption-keys.ts";
import { retireEncryptionKey } from "./vault/retire-encryption-key.ts";

/** Few statements, one after the other. */
const POOL_SIZE = 2;

/**
 * `keystead keys`: which of the operator's keys wrap how many data keys, and which may go. It asks for no known key, so it
 * tells what is expected where no process starts. Rejects with `configuration_invalid`, `schema_outdated` or a `database_*` error.
 */
export async function printKeys(format: "table" | "json"): Promise<string> {
  return withDatabase(async (database, configured) => {
    const report = await listEncryptionKeys(database, configured);
    return format === "json" ? `${JSON.stringify(report, undefined, 2)}\n` : tableOf(report);
  });
}

/** `keystead keys retire`: what to say once the key's wrappings are gone. Rejects as `retireEncryptionKey` does. */
export async function retireKey(keyId: string): Promise<string> {
  return withDatabase(async (database, configured) => {
    const removed = await retireEncryptionKey(database, keyId, configured);
    return `Encryption key ${keyId} is retired: ${removed} wrappings under it are gone.\n`;
  });
}

async function withDatabase(
  work: (database: Database, configured: readonly string[]) => Promise<string>,
): Promise<string> {
  const { database: settings, encryption } = loadConfig(process.env, ["database", "encryption"]);
  const keys = createKeyEncryptionKeys(encryption.key, encryption.previousKeys);
  await using database = openDatabase({ ...settings, applicationName: "keystead keys", poolSize: POOL_SIZE });
  await checkSchema(database);
  return await work(database, keys.ids);
}

function tableOf({ dataKeys, keys }: EncryptionKeysReport): string {
  return alignedTable([
    ["FINGERPRINT", "CONFIGURED HERE", "STATE", "DATA KEYS", "ALONE", "LAST CONFIGURED", "CAN BE RETIRED"],
    ...keys.map((key) => [
      key.keyId,
      key.configured,
      key.state,
      `${key.dataKeys} of ${dataKeys}`,
      String(key.alone),
      key.configuredAt?.toISOString().replace(/\.\d+/, "") ?? "-",
      verdictOf(key),
    ]),
  ]);
}

function verdictOf({ state, keptBecause, dataKeys }: EncryptionKeysReport["keys"][number]): string {
  if (state === "retired" && dataKeys === 0) return "-";
  return keptBecause === undefined ? "yes" : `no: ${keptBecause}`;
}
