import type { Queryable } from "../db/session-pool.ts";
import { KeysteadError } from "../errors.ts";
import { isClaimable } from "./claim-row.ts";
import type { DesiredConnection } from "./connection.ts";

/** What may stand in the way. The holder is whoever has the connection id now. */
interface Circumstances {
  readonly environment_alive: boolean | null;
  /** Whether it belongs to a resource of the same cluster and namespace: it may have been adopted. */
  readonly environment_ours: boolean | null;
  readonly integration_alive: boolean | null;
  readonly holder_id: string | null;
  readonly holder_uid: string | null;
  readonly holder_cluster: string | null;
  readonly holder_release: string | null;
  readonly holder_namespace: string | null;
  readonly holder_name: string | null;
  readonly holder_claimed: boolean | null;
}

/** Why a connection could not be written, looked up after the fact: rows are refused too rarely to pay for it before. */
export async function explainRefusedConnection(
  database: Queryable,
  desired: DesiredConnection,
): Promise<KeysteadError> {
  const [circumstances] = await database.query<Circumstances>(
    `select (select deleted_at is null from keystead.environments where environment_id = $1) as environment_alive,
            (select owner_cluster = $4 and owner_namespace = $5
               from keystead.environments where environment_id = $1) as environment_ours,
            (select deleted_at is null from keystead.integrations
              where environment_id = $1 and integration_id = $2) as integration_alive,
            h.connection_row_id as holder_id, h.owner_uid as holder_uid, h.owner_cluster as holder_cluster,
            h.owner_release as holder_release,
            h.owner_namespace as holder_namespace, h.owner_name as holder_name, h.claimed as holder_claimed
       from (select) as always
       left join keystead.connections h
         on h.environment_id = $1 and h.integration_id = $2 and h.connection_id = $3 and h.deleted_at is null`,
    [
      desired.environmentId,
      desired.integrationId,
      desired.connectionId,
      desired.owner.cluster,
      desired.owner.namespace,
    ],
  );
  return reasonOf(desired, circumstances);
}

/** Pure. A row that nothing speaks against any more was changed by somebody else in between. */
function reasonOf(desired: DesiredConnection, found: Circumstances | undefined): KeysteadError {
  const { environmentId, integrationId, connectionId, owner } = desired;
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
  if (!found.integration_alive) {
    return new KeysteadError("integration_gone", `integration ${integrationId} does not exist or was deleted`, {
      details: { integrationId },
    });
  }
  if (found.holder_id !== null && waitsFor(owner, found)) {
    return new KeysteadError(
      "row_unclaimed",
      `connection ${found.holder_id} waits for ${owner.namespace}/${owner.name}`,
      {
        details: { id: found.holder_id },
      },
    );
  }
  // Not even the same name is a reason to take it over: whoever may write Connections would get an end user's token.
  if (found.holder_id !== null && found.holder_uid !== owner.uid) {
    const holder =
      found.holder_uid === null ? "one made over the API" : `Connection ${found.holder_namespace}/${found.holder_name}`;
    return new KeysteadError("connection_id_in_use", `connection id ${connectionId} is in use by ${holder}`, {
      details: {
        connectionId,
        holder: {
          id: found.holder_id,
          uid: found.holder_uid,
          cluster: found.holder_cluster,
          release: found.holder_release,
          claimed: found.holder_claimed,
          namespace: found.holder_namespace,
          name: found.holder_name,
        },
      },
    });
  }
  return new KeysteadError("row_changed", `the row of ${owner.namespace}/${owner.name} changed while it was stored`);
}

/** Whether the holder is the row that was restored for this resource. */
function waitsFor(owner: DesiredConnection["owner"], holder: Circumstances): boolean {
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
