import type { KeyEncryptionKeys, WrappedKeyPlace } from "../crypto/kek.ts";
import type { Database } from "../db/database.ts";
import type { Queryable } from "../db/session-pool.ts";
import { KeysteadError } from "../errors.ts";
import { type AuditKeys, openAuditKeys } from "./audit-keys.ts";
import { recordKeyEvent } from "./audit-encryption-keys.ts";

/** Any fixed number, different from the migrator's. */
const PROOF_LOCK = 7_310_402_189;

/** The check value is wrapped as the data key of no environment would be. */
const CHECK_PLACE: WrappedKeyPlace = {
  environmentId: "00000000-0000-0000-0000-000000000000",
  dataKeyId: "00000000-0000-0000-0000-000000000000",
};

/** What a check value holds: 32 known bytes. */
const CHECK_TEXT = Buffer.from("keystead key encryption key v1..");

interface ListedKey {
  readonly key_id: string;
  readonly check_value: Buffer;
  readonly retired: boolean;
}

/**
 * Shows that the configured keys are those this database is encrypted under. The first process on an empty database
 * makes its keys the known ones; of two at once with different keys one wins and the other is refused. Enough that one
 * configured key is known; another becomes known once every data key is wrapped under it, so that a process which has
 * only that one can read everything. A retired key proves nothing. Gives the keys of the audit chain, which they wrap too.
 *
 * Rejects with `encryption_key_unknown` or a `database_*` error.
 */
export async function proveKey(database: Database, keys: KeyEncryptionKeys): Promise<AuditKeys> {
  return underProofLock(database, async (transaction) => {
    const listed = await transaction.query<ListedKey>(
      `select key_id, check_value, retired_at is not null as retired
         from keystead.key_encryption_keys
        order by created_at, key_id`,
    );
    const known = listed.filter(({ retired }) => !retired);
    const proven = await provenIds(keys, known);
    if (listed.length > 0 && proven.length === 0) throw unknownKey(keys, listed);
    const auditKeys = await openAuditKeys(transaction, keys);
    const newcomers = keys.ids.filter((id) => !listed.some(({ key_id }) => key_id === id));
    for (const keyId of newcomers) await introduce(transaction, keys, keyId);
    return auditKeys;
  });
}

/** Lists a key as known if it wraps every data key; whether this call did so. */
export async function introduceKey(
  database: Pick<Database, "transaction">,
  keys: KeyEncryptionKeys,
  keyId: string,
): Promise<boolean> {
  return underProofLock(database, async (transaction) => {
    const introduced = await introduce(transaction, keys, keyId);
    if (introduced) await recordKeyEvent(transaction, "encryption-key.introduced", keyId);
    return introduced;
  });
}

/** Which keys are known changes one step at a time, whoever changes it. */
export function underProofLock<T>(
  database: Pick<Database, "transaction">,
  work: (transaction: Queryable) => Promise<T>,
): Promise<T> {
  return database.transaction(async (transaction) => {
    await transaction.query("select pg_advisory_xact_lock($1)", [PROOF_LOCK]);
    return work(transaction);
  });
}

async function provenIds(keys: KeyEncryptionKeys, known: readonly ListedKey[]): Promise<readonly string[]> {
  const proven: string[] = [];
  for (const row of known.filter(({ key_id }) => keys.ids.includes(key_id))) {
    await keys.unwrap(row.key_id, row.check_value, CHECK_PLACE);
    proven.push(row.key_id);
  }
  return proven;
}

/** As on an empty database, where no data key and no key of the audit chain is left that it does not wrap. */
async function introduce(transaction: Queryable, keys: KeyEncryptionKeys, keyId: string): Promise<boolean> {
  const introduced = await transaction.query(
    `insert into keystead.key_encryption_keys (key_id, check_value, configured_at)
     select $1, $2, now()
      where not exists (
        select from keystead.data_keys d
         where not exists (
           select from keystead.data_key_wrappings w
            where w.environment_id = d.environment_id and w.data_key_id = d.data_key_id and w.key_id = $1
         )
      )
        and not exists (
        select from keystead.audit_keys a
         where not exists (
           select from keystead.audit_key_wrappings w where w.audit_key_id = a.audit_key_id and w.key_id = $1
         )
      )
     on conflict do nothing
     returning key_id`,
    [keyId, await keys.wrap(keyId, CHECK_TEXT, CHECK_PLACE)],
  );
  return introduced.length > 0;
}

function unknownKey(keys: KeyEncryptionKeys, listed: readonly ListedKey[]): KeysteadError {
  const retired = listed.filter((row) => row.retired && keys.ids.includes(row.key_id)).map(({ key_id }) => key_id);
  const expected = listed.filter((row) => !row.retired).map(({ key_id }) => key_id);
  const given =
    `this database is encrypted under key ${expected.join(" or ")}, and the configured key is ${keys.ids.join(" or ")}` +
    (retired.length > 0 ? `, of which ${retired.join(" and ")} was retired` : "");
  return new KeysteadError(
    "encryption_key_unknown",
    `${given}: set KEYSTEAD_ENCRYPTION_KEY to the key this database was made with, or point DATABASE_URL at the right ` +
      "database; to change the key, put the old one into KEYSTEAD_PREVIOUS_ENCRYPTION_KEYS beside the new one",
    { details: { expected, given: keys.ids } },
  );
}
