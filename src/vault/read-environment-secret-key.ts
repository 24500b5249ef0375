import { Secret } from "../crypto/secret.ts";
import { KeysteadError } from "../errors.ts";
import type { Vault } from "./context.ts";
import { MAIN_SECRET_KEY } from "./describe-environments.ts";

interface SecretKeyRow {
  readonly secret_key_id: string;
  readonly secret_key_sealed: Buffer;
  readonly secret_key_revision: number;
}

/**
 * The environment's current secret key, for the controller that keeps it in a Kubernetes Secret. Rejects with
 * `environment_gone`, `sealed_value_invalid` or a `database_*` error.
 */
export async function readEnvironmentSecretKey(vault: Vault, environmentId: string): Promise<Secret> {
  const [row] = await vault.database.query<SecretKeyRow>(
    `select k.secret_key_id, k.secret_key_sealed, k.secret_key_revision
       from keystead.environments e
       join keystead.secret_keys k
         on k.environment_id = e.environment_id and k.name = $2 and k.replaced_at is null
      where e.environment_id = $1 and e.deleted_at is null`,
    [environmentId, MAIN_SECRET_KEY],
  );
  if (!row) throw new KeysteadError("environment_gone", `environment ${environmentId} does not exist or was deleted`);
  const text = await vault.environmentKeys.open(row.secret_key_sealed, {
    label: "environment.secret-key",
    environmentId,
    rowId: row.secret_key_id,
    revision: row.secret_key_revision,
  });
  return new Secret(text);
}
