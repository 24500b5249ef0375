import type { Queryable } from "../db/session-pool.ts";
import { KeysteadError } from "../errors.ts";
import { changedLimits, type DesiredApiKeyWithToken } from "./api-key.ts";
import { recordAuditEvent, type AuditAction } from "./audit.ts";
import type { ReigningVault } from "./context.ts";
import { withCurrentDataKey } from "./current-data-key.ts";
import { holdEnvironment } from "./hold-environment.ts";
import type { Owner } from "./owner.ts";
import { insertSecretKey, makeSecretKey, type NewSecretKey } from "./replace-secret-key.ts";

/** All named keys that an environment is to have. */
export interface ApiKeysOptions {
  readonly environmentId: string;
  readonly owner: Owner;
  readonly keys: readonly DesiredApiKeyWithToken[];
}

/** One of them, as it is stored. */
interface ApiKeyRow {
  readonly name: string;
  readonly scopes: string[];
  readonly connection_selector: Record<string, string> | null;
  readonly expires_after_seconds: number | null;
}

/**
 * Makes the named keys of an environment those that its resource declares, in one transaction with an event for each: new
 * ones are made, edits hold for keys that are in use already, and one that is not declared any more opens nothing from the
 * commit on. Calling it again changes nothing. Rejects with `environment_gone`, `row_changed` or a `database_*` error.
 */
export function storeApiKeys(vault: ReigningVault, options: ApiKeysOptions): Promise<void> {
  return withCurrentDataKey(() => storeOnce(vault, options));
}

async function storeOnce(vault: ReigningVault, options: ApiKeysOptions): Promise<void> {
  const { environmentId } = options;
  const known = new Map((await storedKeys(vault.database, environmentId)).map((row) => [row.name, row]));
  const made = new Map<string, NewSecretKey>();
  for (const { name } of options.keys) {
    if (!known.has(name)) made.set(name, await makeSecretKey(vault, environmentId));
  }
  await vault.database.transaction(async (transaction) => {
    // Two at once come one after the other, and the second finds done what the first did.
    if (!(await holdEnvironment(transaction, environmentId, options.owner)))
      throw new KeysteadError("environment_gone", `environment ${environmentId} was deleted, or is another resource's`);
    const stored = new Map((await storedKeys(transaction, environmentId)).map((row) => [row.name, row]));
    await removeOthers(transaction, options);
    for (const key of options.keys) {
      const row = stored.get(key.name);
      if (row) await updateKey(transaction, options, row, key);
      else await insertKey(transaction, options, key, made.get(key.name));
    }
  });
}

function storedKeys(database: Queryable, environmentId: string): Promise<ApiKeyRow[]> {
  return database.query<ApiKeyRow>(
    `select name, scopes, connection_selector, expires_after_seconds
       from keystead.api_keys
      where environment_id = $1`,
    [environmentId],
  );
}

async function removeOthers(transaction: Queryable, options: ApiKeysOptions): Promise<void> {
  const removed = await transaction.query<{ name: string; secret_key_id: string | null }>(
    `with removed as (
       delete from keystead.api_keys where environment_id = $1 and name <> all($2::text[]) returning name
     ),
     ended as (
       delete from keystead.secret_keys
        where environment_id = $1 and name in (select name from removed)
       returning name, secret_key_id
     )
     select name, secret_key_id from removed left join ended using (name)`,
    [options.environmentId, options.keys.map(({ name }) => name)],
  );
  for (const { name, secret_key_id: id } of removed) {
    await record(transaction, options, "secret-key.ended", id ?? options.environmentId, [name]);
  }
}

async function insertKey(
  transaction: Queryable,
  options: ApiKeysOptions,
  key: DesiredApiKeyWithToken,
  made: NewSecretKey | undefined,
): Promise<void> {
  const { environmentId } = options;
  if (!made) throw new KeysteadError("row_changed", `the named keys of environment ${environmentId} changed meanwhile`);
  await transaction.query(
    `insert into keystead.api_keys (
       environment_id, name, scopes, connection_selector, expires_after_seconds, last_handled_rotation
     ) values ($1, $2, $3, $4, $5, $6)`,
    [environmentId, key.name, ...limitsOf(key), key.rotationToken ?? null],
  );
  await insertSecretKey(transaction, { environmentId, name: key.name }, made);
  await record(transaction, options, "secret-key.created", made.id, [key.name]);
}

/** Keys in their grace period are limited as well: an edit that takes something away must not spare the one that leaked. */
async function updateKey(
  transaction: Queryable,
  options: ApiKeysOptions,
  row: ApiKeyRow,
  key: DesiredApiKeyWithToken,
): Promise<void> {
  const stored = {
    name: row.name,
    scopes: row.scopes,
    connectionSelector: row.connection_selector ?? undefined,
    expiresAfterSeconds: row.expires_after_seconds ?? undefined,
  };
  const changed = changedLimits(stored, key);
  if (changed.length === 0) return;
  const values = [options.environmentId, key.name, ...limitsOf(key)];
  await transaction.query(
    `update keystead.api_keys
        set scopes = $3, connection_selector = $4, expires_after_seconds = $5
      where environment_id = $1 and name = $2`,
    values,
  );
  const keys = await transaction.query<{ secret_key_id: string }>(
    `update keystead.key_digests d
        set scopes = $3::text[], connection_selector = $4::jsonb,
            expires_at = case
              when k.replaced_at is null then k.issued_at + make_interval(secs => $5::bigint)
              else d.expires_at
            end
       from keystead.secret_keys k
      where d.environment_id = $1 and d.secret_key_id = k.secret_key_id
        and k.environment_id = $1 and k.name = $2
     returning k.secret_key_id`,
    values,
  );
  // One that has expired is in the list with its name alone: its events are about the environment.
  const ids = keys.length > 0 ? keys.map(({ secret_key_id: id }) => id) : [options.environmentId];
  for (const id of ids) await record(transaction, options, "secret-key.updated", id, [key.name, ...changed]);
}

function limitsOf({ scopes, connectionSelector, expiresAfterSeconds }: DesiredApiKeyWithToken) {
  const selector = connectionSelector === undefined ? null : JSON.stringify(connectionSelector);
  return [scopes, selector, expiresAfterSeconds ?? null] as const;
}

function record(
  transaction: Queryable,
  { environmentId, owner }: ApiKeysOptions,
  action: AuditAction,
  targetId: string,
  fields: readonly string[],
): Promise<void> {
  const actor = { kind: "resource", owner } as const;
  return recordAuditEvent(transaction, { environmentId, actor, action, targetId, targetRevision: 1, fields });
}
