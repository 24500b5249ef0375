import type { Queryable } from "../db/session-pool.ts";
import { KeysteadError } from "../errors.ts";
import type { DesiredConnection } from "./connection.ts";
import { type Circumstances, environmentRefusal, HOLDER_COLUMNS, holderRefusal } from "./refused-row.ts";

/** Beside what every row meets. */
interface ConnectionCircumstances extends Circumstances {
  readonly integration_alive: boolean | null;
}

/** Why a connection could not be written, looked up after the fact: rows are refused too rarely to pay for it before. */
export async function explainRefusedConnection(
  database: Queryable,
  desired: DesiredConnection,
): Promise<KeysteadError> {
  const [circumstances] = await database.query<ConnectionCircumstances>(
    `select (select deleted_at is null from keystead.environments where environment_id = $1) as environment_alive,
            (select owner_cluster = $4 and owner_namespace = $5 and owner_uid = $6
               from keystead.environments where environment_id = $1) as environment_ours,
            (select deleted_at is null from keystead.integrations
              where environment_id = $1 and integration_id = $2) as integration_alive,
            h.connection_row_id as holder_id, ${HOLDER_COLUMNS}
       from (select) as always
       left join keystead.connections h
         on h.environment_id = $1 and h.integration_id = $2 and h.connection_id = $3 and h.deleted_at is null`,
    [
      desired.environmentId,
      desired.integrationId,
      desired.connectionId,
      desired.owner.cluster,
      desired.owner.namespace,
      desired.environmentUid,
    ],
  );
  return reasonOf(desired, circumstances);
}

/** Pure. */
function reasonOf(desired: DesiredConnection, found: ConnectionCircumstances | undefined): KeysteadError {
  const { environmentId, integrationId, connectionId, owner } = desired;
  const refusal = environmentRefusal(environmentId, found);
  if (refusal) return refusal;
  if (!found?.integration_alive) {
    return new KeysteadError("integration_gone", `integration ${integrationId} does not exist or was deleted`, {
      details: { integrationId },
    });
  }
  return holderRefusal(owner, found, {
    kind: "Connection",
    code: "connection_id_in_use",
    what: `connection id ${connectionId}`,
    details: { connectionId },
  });
}
