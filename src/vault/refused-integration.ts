import type { Queryable } from "../db/session-pool.ts";
import type { KeysteadError } from "../errors.ts";
import type { DesiredIntegration } from "./integration.ts";
import { type Circumstances, environmentRefusal, HOLDER_COLUMNS, holderRefusal } from "./refused-row.ts";

/** Why an integration could not be written, looked up after the fact, as `explainRefusedConnection` does. */
export async function explainRefusedIntegration(
  database: Queryable,
  desired: DesiredIntegration,
): Promise<KeysteadError> {
  const [circumstances] = await database.query<Circumstances>(
    `select (select deleted_at is null from keystead.environments where environment_id = $1) as environment_alive,
            (select owner_cluster = $3 and owner_namespace = $4 and owner_uid = $5
               from keystead.environments where environment_id = $1) as environment_ours,
            h.integration_id as holder_id, ${HOLDER_COLUMNS}
       from (select) as always
       left join keystead.integrations h
         on h.environment_id = $1 and h.unique_key = $2 and h.deleted_at is null`,
    [desired.environmentId, desired.uniqueKey, desired.owner.cluster, desired.owner.namespace, desired.environmentUid],
  );
  return reasonOf(desired, circumstances);
}

/** Pure. */
function reasonOf(desired: DesiredIntegration, found: Circumstances | undefined): KeysteadError {
  const { environmentId, uniqueKey, owner } = desired;
  return (
    environmentRefusal(environmentId, found) ??
    holderRefusal(owner, found, {
      kind: "Integration",
      code: "integration_key_in_use",
      what: `the integration key ${uniqueKey}`,
      details: { uniqueKey },
    })
  );
}
