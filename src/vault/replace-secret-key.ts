import type { Secret } from "../crypto/secret.ts";
import { generateToken, tokenDigest, tokenFingerprint } from "../crypto/token.ts";
import { uuidv7 } from "../crypto/uuid.ts";
import type { Queryable } from "../db/session-pool.ts";
import { MAIN_SECRET_KEY } from "./describe-environments.ts";
import { sealText, type Seals } from "./seal.ts";

/**
 * How long a grace period waits for the Secret to be written with the new key, before it begins in any case. An hour is
 * longer than an outage that nobody looks at, and short enough that an old key does not live on unnoticed.
 */
const LONGEST_WAIT_SECONDS = 3_600;

/** A key that was drawn and sealed, and opens nothing until it is inserted. */
export interface NewSecretKey {
  readonly id: string;
  readonly secretKey: Secret;
  readonly digest: Buffer;
  readonly sealed: Buffer;
}

/** Draws a key and seals it, before the transaction that inserts it. Rejects as `sealJson` does. */
export async function makeSecretKey(vault: Seals, environmentId: string): Promise<NewSecretKey> {
  const id = uuidv7();
  const secretKey = generateToken("secret-key");
  const place = { label: "environment.secret-key", environmentId, rowId: id, revision: 1 } as const;
  const sealed = await sealText(vault, place, secretKey.reveal());
  return { id, secretKey, digest: tokenDigest(secretKey.reveal()), sealed };
}

/** Which key is replaced, and what becomes of the one that was current. */
export interface Replacement {
  readonly environmentId: string;
  readonly name: string;
  /** How long the current key goes on working; 0: it opens nothing from the commit on. */
  readonly graceSeconds: number;
}

/**
 * Puts a new key in the place of the current one of its name, in the transaction of the caller, who holds the row of the
 * environment. A key that was in its grace period already ends at once, whatever its end was.
 */
export async function replaceSecretKey(
  transaction: Queryable,
  { environmentId, name, graceSeconds }: Replacement,
  made: NewSecretKey,
): Promise<void> {
  // Their digests go with them, and their sealed values are nowhere any more.
  await transaction.query(
    `delete from keystead.secret_keys
      where environment_id = $1 and name = $2 and (replaced_at is not null or $3::bigint = 0)`,
    [environmentId, name, graceSeconds],
  );
  if (graceSeconds > 0) await beginWait(transaction, { environmentId, name, graceSeconds });
  await insertSecretKey(transaction, { environmentId, name }, made);
}

/**
 * Makes a key the current one of its name. A named key gets the limits that its row of `api_keys` says, and nothing at all
 * without one.
 */
export async function insertSecretKey(
  transaction: Queryable,
  { environmentId, name }: Omit<Replacement, "graceSeconds">,
  made: NewSecretKey,
): Promise<void> {
  await transaction.query(
    `insert into keystead.secret_keys (
       environment_id, secret_key_id, name, secret_key_sealed, secret_key_revision, fingerprint
     ) values ($1, $2, $3, $4, 1, $5)`,
    [environmentId, made.id, name, made.sealed, tokenFingerprint(made.digest)],
  );
  const values = [made.digest, environmentId, made.id];
  if (name === MAIN_SECRET_KEY) {
    await transaction.query(
      "insert into keystead.key_digests (digest, environment_id, secret_key_id) values ($1, $2, $3)",
      values,
    );
    return;
  }
  await transaction.query(
    `insert into keystead.key_digests (
       digest, environment_id, secret_key_id, scopes, connection_selector, expires_at
     )
     select $1, $2, $3, a.scopes, a.connection_selector, now() + make_interval(secs => a.expires_after_seconds)
       from keystead.api_keys a
      where a.environment_id = $2 and a.name = $4`,
    [...values, name],
  );
}

/** The latest possible end stands from the commit on; `beginGrace` only ever brings it forward. */
async function beginWait(transaction: Queryable, { environmentId, name, graceSeconds }: Replacement): Promise<void> {
  await transaction.query(
    `with replaced as (
       update keystead.secret_keys
          set replaced_at = now(), pending_grace_seconds = $3
        where environment_id = $1 and name = $2 and replaced_at is null
       returning secret_key_id
     )
     update keystead.key_digests d
        set expires_at = least(d.expires_at, now() + make_interval(secs => $3 + ${LONGEST_WAIT_SECONDS}))
       from replaced
      where d.environment_id = $1 and d.secret_key_id = replaced.secret_key_id`,
    [environmentId, name, graceSeconds],
  );
}
