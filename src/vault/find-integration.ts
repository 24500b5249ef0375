import type { Queryable } from "../db/session-pool.ts";
import { KeysteadError } from "../errors.ts";
import type { AdmittedKey } from "./admit-key.ts";
import type { IntegrationSummaryRow } from "./list-integrations.ts";
import { OWNED_COLUMNS, type OwnedRow, refuseManaged } from "./refuse-managed.ts";

/** A living integration that no resource manages and that is about to be changed. */
export interface HeldIntegration extends IntegrationSummaryRow, OwnedRow {
  readonly revision: number;
}

/**
 * The integration of that name, locked until the transaction ends: nobody adds a connection to it meanwhile. Rejects with
 * `not_found` or `managed_by_resource`.
 */
export async function holdOwnIntegration(
  transaction: Queryable,
  { environmentId }: AdmittedKey,
  uniqueKey: string,
): Promise<HeldIntegration> {
  const [row] = await transaction.query<HeldIntegration>(
    `select environment_id, integration_id, unique_key, provider, display_name, settings, created_at, updated_at, revision,
            ${OWNED_COLUMNS}
       from keystead.integrations
      where environment_id = $1 and unique_key = $2 and deleted_at is null
        for no key update`,
    [environmentId, uniqueKey],
  );
  if (!row) {
    throw new KeysteadError("not_found", `The environment has no integration ${JSON.stringify(uniqueKey)}.`);
  }
  refuseManaged("Integration", row, `Integration ${JSON.stringify(uniqueKey)}`);
  return row;
}
