import type { Database } from "../db/database.ts";
import type { Queryable } from "../db/session-pool.ts";
import { KeysteadError } from "../errors.ts";
import { recordKeyEvent } from "./audit-encryption-keys.ts";
import { listEncryptionKeys } from "./list-encryption-keys.ts";
import { underProofLock } from "./prove-key.ts";

/** Wrappings deleted in one transaction: some milliseconds each, so that nobody waits for them. */
const DELETE_BATCH = 1_000;

/**
 * Ends the life of one of the operator's keys: from the first commit on nothing is wrapped under it any more, and then
 * its wrappings go; how many did. Called again after a crash it does the rest. `configured` are the ids of the keys of
 * this process. Rejects with `encryption_key_unknown`, `encryption_key_in_use` or a `database_*` error.
 */
export async function retireEncryptionKey(
  database: Pick<Database, "query" | "transaction">,
  keyId: string,
  configured: readonly string[],
): Promise<number> {
  await underProofLock(database, (transaction) => markRetired(transaction, keyId, configured));
  let removed = 0;
  for (;;) {
    const batch = await removeWrappings(database, keyId);
    removed += batch;
    if (batch < DELETE_BATCH) return removed;
  }
}

async function markRetired(transaction: Queryable, keyId: string, configured: readonly string[]): Promise<void> {
  // Whoever is about to wrap under it holds a share lock on the row: what they wrap is seen below.
  await transaction.query("select from keystead.key_encryption_keys where key_id = $1 for update", [keyId]);
  const { keys } = await listEncryptionKeys(transaction, configured);
  const key = keys.find((one) => one.keyId === keyId);
  if (!key) {
    const known = keys.map((one) => one.keyId).join(", ");
    throw new KeysteadError("encryption_key_unknown", `nothing is wrapped under key ${keyId}; there are ${known}`);
  }
  if (key.keptBecause !== undefined) {
    throw new KeysteadError("encryption_key_in_use", `key ${keyId} cannot be retired: ${key.keptBecause}`);
  }
  if (key.state === "retired") return;
  // One that never came to wrap everything is not listed yet.
  await transaction.query(
    `insert into keystead.key_encryption_keys as k (key_id, check_value, retired_at) values ($1, '', now())
     on conflict (key_id) do update set retired_at = now()`,
    [keyId],
  );
  await removeAuditWrappings(transaction, keyId);
  await recordKeyEvent(transaction, "encryption-key.retired", keyId);
}

/** The few of the audit chain's keys; never the last one that a key which still counts has made. */
async function removeAuditWrappings(transaction: Queryable, keyId: string): Promise<void> {
  await transaction.query(
    `delete from keystead.audit_key_wrappings w
      where w.key_id = $1
        and exists (
          select from keystead.audit_key_wrappings o
            join keystead.key_encryption_keys k on k.key_id = o.key_id and k.retired_at is null
           where o.audit_key_id = w.audit_key_id and o.key_id <> $1
        )`,
    [keyId],
  );
}

/** Never the last one that a key which still counts has made, whatever was decided before. */
async function removeWrappings(database: Queryable, keyId: string): Promise<number> {
  const removed = await database.query(
    `delete from keystead.data_key_wrappings w
      using (
        select d.environment_id, d.data_key_id
          from keystead.data_key_wrappings d
         where d.key_id = $1
           and exists (
             select from keystead.data_key_wrappings o
               join keystead.key_encryption_keys k on k.key_id = o.key_id and k.retired_at is null
              where o.environment_id = d.environment_id and o.data_key_id = d.data_key_id
           )
         limit ${DELETE_BATCH}
      ) as redundant
      where w.environment_id = redundant.environment_id and w.data_key_id = redundant.data_key_id and w.key_id = $1
      returning w.data_key_id`,
    [keyId],
  );
  return removed.length;
}
