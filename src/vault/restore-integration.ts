import type { Queryable } from "../db/session-pool.ts";
import { KeysteadError } from "../errors.ts";
import { AUDITED_CONNECTION, AUDITED_INTEGRATION } from "./audit-fragments.ts";
import type { ReigningVault } from "./context.ts";
import { findRestorable } from "./find-restorable.ts";
import { type HeldEnvironment, lockParents } from "./lock-parents.ts";
import { RESTORE_BATCH, restoreChildren } from "./restore-children.ts";
import {
  judgeRestore,
  type Misplacement,
  type RestorableRow,
  type RestoreRequest,
  type RestoreVerdict,
} from "./restore-verdict.ts";
import { takeRow } from "./take-row.ts";

/** Which integration comes back, and where its resource says it belongs. */
export interface IntegrationRestore extends RestoreRequest, HeldEnvironment {
  /** The resource's name, by which applications ask for it. */
  readonly uniqueKey: string;
}

interface FoundRow extends RestorableRow {
  readonly environment_id: string;
  readonly unique_key: string;
  readonly deletion_id: string | null;
  readonly deleted_at: string | null;
}

/** The columns above. */
const COLUMNS = "r.environment_id, r.unique_key, r.deletion_id, r.deleted_at::text as deleted_at";

/**
 * Brings the soft-deleted integration of a resource back with the connections that were deleted with it, in one
 * transaction. Those that resources managed come back unclaimed. As repeatable as `restoreConnection`, and with the same
 * refusals.
 */
export async function restoreIntegration(
  vault: ReigningVault,
  request: IntegrationRestore,
  batchSize = RESTORE_BATCH,
): Promise<RestoreVerdict> {
  const { id, environmentId, environmentUid, owner } = request;
  return vault.database.transaction(async (transaction) => {
    await lockParents(transaction, { environmentId, environmentUid });
    const row = await findRestorable<FoundRow>(transaction, AUDITED_INTEGRATION, COLUMNS, request);
    const verdict = judgeRestore(row, request, row && misplacementOf(row, request));
    if (verdict === "handled") return verdict;
    if (verdict === "restore") await refuseConflict(transaction, request);
    const deletionId = row?.deletion_id ?? null;
    await takeRow(transaction, AUDITED_INTEGRATION, {
      environmentId,
      id,
      owner,
      handledRestore: id,
      deletionId,
    });
    if (deletionId && row?.deleted_at) {
      const { deleted_at: at } = row;
      const actor = { kind: "resource", owner } as const;
      const children = { environmentId, integrationId: id, deletionId, since: at, until: at, actor, batchSize };
      await restoreChildren(transaction, AUDITED_CONNECTION, children);
    }
    return verdict;
  });
}

function misplacementOf(row: FoundRow, request: IntegrationRestore): Misplacement | undefined {
  if (row.environment_id !== request.environmentId) return "environment";
  return row.unique_key === request.uniqueKey ? undefined : "name";
}

/** Another integration may have its name by now, or its resource another integration. */
async function refuseConflict(transaction: Queryable, request: IntegrationRestore): Promise<void> {
  const { id, environmentId, uniqueKey, owner } = request;
  const [taken] = await transaction.query(
    `select integration_id from keystead.integrations
      where environment_id = $1 and unique_key = $2 and deleted_at is null
      union all
     select integration_id from keystead.integrations
      where environment_id = $1 and owner_uid = $3 and deleted_at is null`,
    [environmentId, uniqueKey, owner.uid],
  );
  if (!taken) return;
  throw new KeysteadError(
    "restore_conflict",
    `integration ${id} cannot come back: the name ${uniqueKey} was taken meanwhile`,
  );
}
