import type { Queryable } from "../db/session-pool.ts";
import { KeysteadError } from "../errors.ts";
import { isClaimable } from "./claim-row.ts";
import type { DesiredIntegration } from "./integration.ts";

/** What may stand in the way. The holder is whoever has the key now. */
interface Circumstances {
  readonly environment_alive: boolean | null;
  /** Whether it belongs to a resource of the same cluster and namespace: it may have been adopted. */
  readonly environment_ours: boolean | null;
  readonly holder_id: string | null;
  readonly holder_uid: string | null;
  readonly holder_namespace: string | null;
  readonly holder_cluster: string | null;
  readonly holder_release: string | null;
  readonly holder_name: string | null;
  readonly holder_claimed: boolean | null;
}

/** Why an integration could not be written, looked up after the fact, as `explainRefusedConnection` does. */
export async function explainRefusedIntegration(
  database: Queryable,
  desired: DesiredIntegration,
): Promise<KeysteadError> {
  const [circumstances] = await database.query<Circumstances>(
    `select (select deleted_at is null from keystead.environments where environment_id = $1) as environment_alive,
            (select owner_cluster = $3 and owner_namespace = $4
               from keystead.environments where environment_id = $1) as environment_ours,
            h.integration_id as holder_id, h.owner_uid as holder_uid,
            h.owner_namespace as holder_namespace, h.owner_name as holder_name,
            h.owner_cluster as holder_cluster, h.owner_release as holder_release, h.claimed as holder_claimed
       from (select) as always
       left join keystead.integrations h
         on h.environment_id = $1 and h.unique_key = $2 and h.deleted_at is null`,
    [desired.environmentId, desired.uniqueKey, desired.owner.cluster, desired.owner.namespace],
  );
  return reasonOf(desired, circumstances);
}

/** Pure. A row that nothing speaks against any more was changed by somebody else in between. */
function reasonOf(desired: DesiredIntegration, found: Circumstances | undefined): KeysteadError {
  const { environmentId, uniqueKey, owner } = desired;
  if (!found?.environment_alive) {
    return new KeysteadError("environment_gone", `environment ${environmentId} does not exist or was deleted`, {
      details: { environmentId },
    });
  }
  if (!found.environment_ours) {
    return new KeysteadError(
      "environment_superseded",
      `environment ${environmentId} was taken over by another cluster or namespace`,
      { details: { environmentId } },
    );
  }
  if (found.holder_id !== null && waitsFor(owner, found)) {
    return new KeysteadError(
      "row_unclaimed",
      `integration ${found.holder_id} waits for ${owner.namespace}/${owner.name}`,
      { details: { id: found.holder_id } },
    );
  }
  if (found.holder_id !== null && found.holder_uid !== owner.uid) {
    const holder =
      found.holder_uid === null
        ? "one made over the API"
        : `Integration ${found.holder_namespace}/${found.holder_name}`;
    return new KeysteadError("integration_key_in_use", `the integration key ${uniqueKey} is in use by ${holder}`, {
      details: {
        uniqueKey,
        holder: {
          id: found.holder_id,
          uid: found.holder_uid,
          cluster: found.holder_cluster,
          release: found.holder_release,
          namespace: found.holder_namespace,
          name: found.holder_name,
          claimed: found.holder_claimed,
        },
      },
    });
  }
  return new KeysteadError("row_changed", `the row of ${owner.namespace}/${owner.name} changed while it was stored`);
}

/** Whether the holder is the row that was restored for this resource. */
function waitsFor(owner: DesiredIntegration["owner"], holder: Circumstances): boolean {
  return isClaimable(
    {
      owner_cluster: holder.holder_cluster,
      owner_namespace: holder.holder_namespace,
      owner_name: holder.holder_name,
      owner_uid: holder.holder_uid,
      claimed: holder.holder_claimed ?? true,
    },
    owner,
  );
}
