import { Secret } from "../crypto/secret.ts";
import { KeysteadError } from "../errors.ts";
import type { Vault } from "./context.ts";
import { MAIN_SECRET_KEY } from "./describe-environments.ts";

interface SecretKeyRow {
  readonly secret_key_id: string;
  readonly secret_key_sealed: Buffer;
  readonly secret_key_revision: number;
  readonly is_current: boolean;
}

/** What a Secret of an environment hands out. */
export interface EnvironmentSecretKeys {
  readonly current: Secret;
  /** The key before, while it still opens the environment. */
  readonly previous: Secret | undefined;
}

/**
 * The environment's current secret key of a name, and the one before in its grace period, for the controller that keeps them
 * in a Kubernetes Secret. With `ownerUid` only while that resource has the environment: whoever lost it must not hand out
 * keys that were made since. Rejects with `environment_gone`, `sealed_value_invalid` or a `database_*` error.
 */
export async function readSecretKeys(
  vault: Vault,
  environmentId: string,
  name: string,
  ownerUid?: string,
): Promise<EnvironmentSecretKeys> {
  const rows = await vault.database.query<SecretKeyRow>(
    `select k.secret_key_id, k.secret_key_sealed, k.secret_key_revision, k.replaced_at is null as is_current
       from keystead.environments e
       join keystead.secret_keys k on k.environment_id = e.environment_id and k.name = $2
       join keystead.key_digests d on d.environment_id = k.environment_id and d.secret_key_id = k.secret_key_id
      where e.environment_id = $1 and e.deleted_at is null and coalesce(e.owner_uid = $3, true)
        and (k.replaced_at is null or d.expires_at > now())`,
    [environmentId, name, ownerUid ?? null],
  );
  const current = rows.find((row) => row.is_current);
  const previous = rows.find((row) => !row.is_current);
  if (!current)
    throw new KeysteadError(
      "environment_gone",
      `environment ${environmentId} does not exist, was deleted or taken over, or has no key ${name}`,
    );
  return {
    current: await openKey(vault, environmentId, current),
    previous: previous && (await openKey(vault, environmentId, previous)),
  };
}

/** The current key of the environment itself. */
export async function readEnvironmentSecretKey(vault: Vault, environmentId: string): Promise<Secret> {
  return (await readSecretKeys(vault, environmentId, MAIN_SECRET_KEY)).current;
}

async function openKey(vault: Vault, environmentId: string, row: SecretKeyRow): Promise<Secret> {
  const text = await vault.environmentKeys.open(row.secret_key_sealed, {
    label: "environment.secret-key",
    environmentId,
    rowId: row.secret_key_id,
    revision: row.secret_key_revision,
  });
  return new Secret(text);
}
