import { type AuditKey, generateAuditKey, importAuditKey } from "../crypto/audit-mac.ts";
import type { KeyEncryptionKeys, WrappedKeyPlace } from "../crypto/kek.ts";
import { uuidv7 } from "../crypto/uuid.ts";
import type { Queryable } from "../db/session-pool.ts";
import { hasCode } from "../errors.ts";
import { openWrapping } from "./environment-keys.ts";

/** Audit keys are wrapped as the data keys of no environment. */
const NO_ENVIRONMENT = "00000000-0000-0000-0000-000000000000";

/** The keys of the audit chain that the configured encryption keys open. */
export interface AuditKeys {
  /** What new links and checkpoints are made with. */
  readonly current: AuditKey;
  find(id: string): AuditKey | undefined;
}

interface AuditKeyRow {
  readonly audit_key_id: string;
  readonly key_id: string;
  readonly wrapped: Buffer;
}

/**
 * The audit keys of this database, wrapped under all configured encryption keys from here on, so that a roll of those breaks
 * no verification: old ones are kept as long as a link names them. The first process on an empty database makes the first
 * one. One process at a time may be at it. Rejects with `sealed_value_invalid` or a `database_*` error.
 */
export async function openAuditKeys(transaction: Queryable, keys: KeyEncryptionKeys): Promise<AuditKeys> {
  const opened = await openAndWrap(transaction, keys);
  const current = [...opened.values()].at(-1) ?? (await makeAuditKey(transaction, keys));
  opened.set(current.id, current);
  return { current, find: (id) => opened.get(id) };
}

/** For a process that only looks: the keys that it can open, and none is made or wrapped. */
export async function findAuditKeys(database: Queryable, keys: KeyEncryptionKeys): Promise<Pick<AuditKeys, "find">> {
  const opened = new Map<string, AuditKey>();
  for (const [id, wrappings] of await wrappingsById(database)) {
    const bytes = await openBytes(keys, id, wrappings);
    if (bytes) opened.set(id, importAuditKey(id, bytes));
  }
  return { find: (id) => opened.get(id) };
}

async function openAndWrap(transaction: Queryable, keys: KeyEncryptionKeys): Promise<Map<string, AuditKey>> {
  const opened = new Map<string, AuditKey>();
  for (const [id, wrappings] of await wrappingsById(transaction)) {
    const bytes = await openBytes(keys, id, wrappings);
    // One that no configured key opens is another process's to use; its links can be verified there.
    if (!bytes) continue;
    opened.set(id, importAuditKey(id, bytes));
    const missing = keys.ids.filter((keyId) => !wrappings.some(({ key_id }) => key_id === keyId));
    await addWrappings(transaction, keys, id, bytes, missing);
  }
  return opened;
}

async function wrappingsById(database: Queryable): Promise<Map<string, AuditKeyRow[]>> {
  const rows = await database.query<AuditKeyRow>(
    `select audit_key_id, key_id, wrapped
       from keystead.audit_keys join keystead.audit_key_wrappings using (audit_key_id)
      order by audit_keys.created_at, audit_key_id`,
  );
  return Map.groupBy(rows, (row) => row.audit_key_id);
}

async function openBytes(
  keys: KeyEncryptionKeys,
  id: string,
  wrappings: readonly AuditKeyRow[],
): Promise<Buffer | undefined> {
  try {
    return await openWrapping(keys, placeOf(id), wrappings);
  } catch (thrown) {
    if (hasCode(thrown, "encryption_key_unknown")) return undefined;
    throw thrown;
  }
}

async function makeAuditKey(transaction: Queryable, keys: KeyEncryptionKeys): Promise<AuditKey> {
  const id = uuidv7();
  const bytes = generateAuditKey();
  await transaction.query("insert into keystead.audit_keys (audit_key_id) values ($1)", [id]);
  await addWrappings(transaction, keys, id, bytes, keys.ids);
  return importAuditKey(id, bytes);
}

/** Nothing is wrapped under a retired key, whoever configures it. */
async function addWrappings(
  transaction: Queryable,
  keys: KeyEncryptionKeys,
  auditKeyId: string,
  bytes: Buffer,
  keyIds: readonly string[],
): Promise<void> {
  for (const keyId of keyIds) {
    await transaction.query(
      `insert into keystead.audit_key_wrappings (audit_key_id, key_id, wrapped)
       select $1, $2, $3
        where not exists (select from keystead.key_encryption_keys where key_id = $2 and retired_at is not null)`,
      [auditKeyId, keyId, await keys.wrap(keyId, bytes, placeOf(auditKeyId))],
    );
  }
}

function placeOf(auditKeyId: string): WrappedKeyPlace {
  return { environmentId: NO_ENVIRONMENT, dataKeyId: auditKeyId };
}
