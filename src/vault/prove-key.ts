import type { KeyEncryptionKeys, WrappedKeyPlace } from "../crypto/kek.ts";
import type { Database } from "../db/database.ts";
import type { Queryable } from "../db/session-pool.ts";
import { KeysteadError } from "../errors.ts";

/** Any fixed number, different from the migrator's. */
const PROOF_LOCK = 7_310_402_189;

/** The check value is wrapped as the data key of no environment would be. */
const CHECK_PLACE: WrappedKeyPlace = {
  environmentId: "00000000-0000-0000-0000-000000000000",
  dataKeyId: "00000000-0000-0000-0000-000000000000",
};

/** What a check value holds: 32 known bytes. */
const CHECK_TEXT = Buffer.from("keystead key encryption key v1..");

interface KnownKey {
  readonly key_id: string;
  readonly check_value: Buffer;
}

/**
 * Shows that the configured keys are those this database is encrypted under. The first process on an empty database
 * makes its keys the known ones; of two at once with different keys one wins and the other is refused. Enough that one
 * configured key is known; another becomes known once every data key is wrapped under it, so that a process which has
 * only that one can read everything.
 *
 * Rejects with `encryption_key_unknown` or a `database_*` error.
 */
export async function proveKey(database: Database, keys: KeyEncryptionKeys): Promise<void> {
  await database.transaction(async (transaction) => {
    await transaction.query("select pg_advisory_xact_lock($1)", [PROOF_LOCK]);
    const known = await transaction.query<KnownKey>(
      "select key_id, check_value from keystead.key_encryption_keys order by created_at, key_id",
    );
    const proven = await provenIds(keys, known);
    if (known.length > 0 && proven.length === 0) throw unknownKey(keys, known);
    for (const keyId of keys.ids.filter((id) => !proven.includes(id))) await introduce(transaction, keys, keyId);
  });
}

async function provenIds(keys: KeyEncryptionKeys, known: readonly KnownKey[]): Promise<readonly string[]> {
  const proven: string[] = [];
  for (const row of known.filter(({ key_id }) => keys.ids.includes(key_id))) {
    await keys.unwrap(row.key_id, row.check_value, CHECK_PLACE);
    proven.push(row.key_id);
  }
  return proven;
}

/** Lists a key as known if no data key is left that it does not wrap, as on an empty database. */
async function introduce(transaction: Queryable, keys: KeyEncryptionKeys, keyId: string): Promise<void> {
  await transaction.query(
    `insert into keystead.key_encryption_keys (key_id, check_value)
     select $1, $2
      where not exists (
        select from keystead.data_keys d
         where not exists (
           select from keystead.data_key_wrappings w
            where w.environment_id = d.environment_id and w.data_key_id = d.data_key_id and w.key_id = $1
         )
      )`,
    [keyId, await keys.wrap(keyId, CHECK_TEXT, CHECK_PLACE)],
  );
}

function unknownKey(keys: KeyEncryptionKeys, known: readonly KnownKey[]): KeysteadError {
  const expected = known.map(({ key_id }) => key_id);
  return new KeysteadError(
    "encryption_key_unknown",
    `this database is encrypted under key ${expected.join(" or ")}, and the configured key is ${keys.ids.join(" or ")}: ` +
      "set KEYSTEAD_ENCRYPTION_KEY to the key this database was made with, or point DATABASE_URL at the right database",
    { details: { expected, given: keys.ids } },
  );
}
