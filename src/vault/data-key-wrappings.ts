import type { KeyEncryptionKeys, WrappedKeyPlace } from "../crypto/kek.ts";
import type { Queryable } from "../db/session-pool.ts";
import { valuesList } from "../db/values-list.ts";
import { KeysteadError } from "../errors.ts";

/** A data key as one of the operator's keys wraps it. */
export interface DataKeyWrapping extends WrappedKeyPlace {
  readonly keyId: string;
  readonly wrapped: Buffer;
}

/** Wraps a data key under every configured key; all at once, because a key service may be slow. */
export function wrapDataKey(
  keys: KeyEncryptionKeys,
  dataKey: Buffer,
  place: WrappedKeyPlace,
): Promise<readonly DataKeyWrapping[]> {
  return Promise.all(
    keys.ids.map(async (keyId) => ({ ...place, keyId, wrapped: await keys.wrap(keyId, dataKey, place) })),
  );
}

/**
 * Stores the wrappings of a data key that is being made. Rejects with `encryption_key_unknown` when the database knows
 * none of their keys, or none any more: what only they wrap would be lost with them.
 */
export async function insertFirstWrappings(
  transaction: Queryable,
  wrappings: readonly DataKeyWrapping[],
): Promise<void> {
  const keyIds = wrappings.map(({ keyId }) => keyId);
  const listed = await holdKeys(transaction, keyIds);
  if (![...listed.values()].includes("known")) throw noKnownKey(keyIds);
  await insertRows(transaction, wrappings, listed);
}

/** Adds wrappings to data keys that have one, but for those that are gone by now; how many were new. */
export async function addWrappings(transaction: Queryable, wrappings: readonly DataKeyWrapping[]): Promise<number> {
  const listed = await holdKeys(transaction, [...new Set(wrappings.map(({ keyId }) => keyId))]);
  return insertRows(transaction, wrappings, listed);
}

type Listed = ReadonlyMap<string, "known" | "retired">;

/** What the database says of keys. One that is about to be retired waits for the end of the transaction. */
async function holdKeys(transaction: Queryable, keyIds: readonly string[]): Promise<Listed> {
  const rows = await transaction.query<{ key_id: string; retired: boolean }>(
    `select key_id, retired_at is not null as retired
       from keystead.key_encryption_keys
      where key_id = any($1)
        for share`,
    [keyIds],
  );
  return new Map(rows.map((row) => [row.key_id, row.retired ? "retired" : "known"]));
}

/** Nothing is wrapped under a retired key, whoever configures it. */
async function insertRows(
  transaction: Queryable,
  wrappings: readonly DataKeyWrapping[],
  listed: Listed,
): Promise<number> {
  const usable = wrappings.filter(({ keyId }) => listed.get(keyId) !== "retired");
  if (usable.length === 0) return 0;
  const { text, values } = valuesList(
    ["uuid", "uuid", "text", "bytea"],
    usable.map(({ environmentId, dataKeyId, keyId, wrapped }) => [environmentId, dataKeyId, keyId, wrapped]),
  );
  const inserted = await transaction.query(
    `insert into keystead.data_key_wrappings (environment_id, data_key_id, key_id, wrapped)
     select environment_id, data_key_id, key_id, wrapped
       from (${text}) as i (environment_id, data_key_id, key_id, wrapped)
       join keystead.data_keys using (environment_id, data_key_id)
     on conflict do nothing
     returning key_id`,
    values,
  );
  return inserted.length;
}

function noKnownKey(keyIds: readonly string[]): KeysteadError {
  return new KeysteadError(
    "encryption_key_unknown",
    `no data key can be wrapped under ${keyIds.join(" or ")}: this database does not know the key, or it was retired`,
    { details: { given: keyIds } },
  );
}
