import type { Queryable } from "../db/session-pool.ts";
import { KeysteadError } from "../errors.ts";
import { recordAuditEvent } from "./audit.ts";
import type { ReigningVault } from "./context.ts";
import { MAIN_SECRET_KEY } from "./describe-environments.ts";
import { handleApiKeyTokens, type RotationTokens } from "./handle-tokens.ts";
import type { Owner } from "./owner.ts";
import { releaseRows, RELEASE_BATCH } from "./release-rows.ts";

/** Who takes an environment over, and what proves that it may. Its tokens count as handled, as at creation. */
export interface AdoptionRequest extends RotationTokens {
  readonly environmentId: string;
  /** SHA-256 of the environment's current secret key. */
  readonly secretKeyDigest: Buffer;
  readonly owner: Owner;
}

interface FoundRow {
  readonly owner_cluster: string;
  readonly owner_release: string;
  readonly owner_namespace: string;
  readonly owner_name: string;
  readonly owner_uid: string;
}

/**
 * Makes a living environment the resource's, from whatever cluster it is, with everything in it: the former owner is
 * remembered as superseded, and the rows of Integrations and Connections wait to be claimed from the new resource's cluster
 * and namespace. One transaction; keys and values stay as they are. Calling it again does nothing.
 *
 * Rejects with `adopt_refused` (no such environment, or another key: nobody learns which), `adopt_conflict` (the resource
 * has an environment already) or a `database_*` error.
 */
export async function adoptEnvironment(
  vault: ReigningVault,
  request: AdoptionRequest,
  batchSize = RELEASE_BATCH,
): Promise<void> {
  const { environmentId, owner } = request;
  await vault.database.transaction(async (transaction) => {
    const former = await lockRow(transaction, request);
    if (!former) {
      throw new KeysteadError(
        "adopt_refused",
        `no environment ${environmentId} has the secret key that is given: it is another one's, was rotated, or the environment is deleted`,
      );
    }
    if (former.owner_uid === owner.uid) return;
    await refuseConflict(transaction, owner);
    await supersede(transaction, environmentId, former, owner);
    const revision = await takeEnvironment(transaction, request);
    await handleApiKeyTokens(transaction, environmentId, request);
    for (const kind of ["integration", "connection"] as const) {
      await releaseRows(transaction, kind, { environmentId, owner, batchSize });
    }
    await recordAuditEvent(transaction, {
      environmentId,
      actor: { kind: "resource", owner },
      action: "environment.adopted",
      targetId: environmentId,
      targetRevision: revision,
      fields: ["owner"],
    });
  });
}

/** Only the current key proves anything: one that was replaced may be the reason why it was. */
async function lockRow(
  transaction: Queryable,
  { environmentId, secretKeyDigest }: AdoptionRequest,
): Promise<FoundRow | undefined> {
  const [row] = await transaction.query<FoundRow>(
    `select e.owner_cluster, e.owner_release, e.owner_namespace, e.owner_name, e.owner_uid
       from keystead.environments e
      where e.environment_id = $1 and e.deleted_at is null and e.owner_uid is not null
        and exists (
          select from keystead.key_digests d
            join keystead.secret_keys k on k.environment_id = d.environment_id and k.secret_key_id = d.secret_key_id
           where d.digest = $2 and d.environment_id = $1 and k.name = $3 and k.replaced_at is null)
        for update of e`,
    [environmentId, secretKeyDigest, MAIN_SECRET_KEY],
  );
  return row;
}

async function refuseConflict(transaction: Queryable, owner: Owner): Promise<void> {
  const [own] = await transaction.query<{ environment_id: string }>(
    "select environment_id from keystead.environments where owner_uid = $1 and deleted_at is null",
    [owner.uid],
  );
  if (!own) return;
  throw new KeysteadError("adopt_conflict", `this resource has the environment ${own.environment_id} already`);
}

async function supersede(transaction: Queryable, environmentId: string, former: FoundRow, by: Owner): Promise<void> {
  await transaction.query(
    `insert into keystead.superseded_owners (
       environment_id, owner_uid, owner_cluster, owner_release, owner_namespace, owner_name, by_cluster, by_namespace, by_name
     ) values ($1, $2, $3, $4, $5, $6, $7, $8, $9)`,
    [
      environmentId,
      former.owner_uid,
      former.owner_cluster,
      former.owner_release,
      former.owner_namespace,
      former.owner_name,
      by.cluster,
      by.namespace,
      by.name,
    ],
  );
}

async function takeEnvironment(
  transaction: Queryable,
  { environmentId, owner, rotationToken }: AdoptionRequest,
): Promise<number> {
  const [row] = await transaction.query<{ revision: number }>(
    `update keystead.environments
        set name = $5, owner_cluster = $2, owner_release = $3, owner_namespace = $4, owner_name = $5, owner_uid = $6,
            claimed = true, last_handled_rotation = coalesce($7, last_handled_rotation),
            revision = revision + 1, updated_at = now()
      where environment_id = $1
      returning revision`,
    [environmentId, owner.cluster, owner.release, owner.namespace, owner.name, owner.uid, rotationToken ?? null],
  );
  return row?.revision ?? 0;
}
