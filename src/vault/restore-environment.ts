import type { Queryable } from "../db/session-pool.ts";
import { KeysteadError } from "../errors.ts";
import { AUDITED_CONNECTION, AUDITED_INTEGRATION } from "./audit-fragments.ts";
import { recordAuditEvent } from "./audit.ts";
import type { ReigningVault } from "./context.ts";
import { handleApiKeyTokens, type RotationTokens } from "./handle-tokens.ts";
import { environmentSuperseded } from "./lock-parents.ts";
import { RESTORE_BATCH, restoreChildren } from "./restore-children.ts";
import {
  judgeRestore,
  RESTORABLE_COLUMNS,
  type RestorableRow,
  type RestoreRequest,
  type RestoreVerdict,
} from "./restore-verdict.ts";
import { findSuperseded } from "./superseded-owners.ts";

/** Which environment comes back. Its tokens count as handled, as at creation, since the keys come back as they were. */
export interface EnvironmentRestore extends RestoreRequest, RotationTokens {}

interface FoundRow extends RestorableRow {
  readonly deletion_id: string | null;
  /** From when on what was deleted was deleted together with it, exact to the microsecond. */
  readonly since: string | null;
}

/**
 * Brings a soft-deleted environment back with its keys and with all that was deleted together with it, in one
 * transaction: its secret key opens it again from the commit on. As repeatable as `restoreConnection`, and with the same
 * refusals but for those of parents. A resource that another one took it over from is refused, whatever became of it since.
 */
export async function restoreEnvironment(
  vault: ReigningVault,
  request: EnvironmentRestore,
  batchSize = RESTORE_BATCH,
): Promise<RestoreVerdict> {
  const { id, owner } = request;
  return vault.database.transaction(async (transaction) => {
    const row = await lockRow(transaction, id);
    const superseded = await findSuperseded({ database: transaction }, owner.uid);
    if (superseded?.environment_id === id) throw environmentSuperseded(id);
    const verdict = judgeRestore(row, request, undefined);
    if (verdict === "handled") return verdict;
    if (verdict === "restore") await refuseConflict(transaction, request);
    const actor = { kind: "resource", owner } as const;
    const revision = await takeEnvironment(transaction, request);
    await handleApiKeyTokens(transaction, id, request);
    if (row?.deletion_id && row.since !== null) {
      const { deletion_id: deletionId, since } = row;
      const children = { environmentId: id, deletionId, since, until: "infinity", actor, batchSize };
      // Integrations first: a connection only comes back into one that did.
      await restoreChildren(transaction, AUDITED_INTEGRATION, children);
      await restoreChildren(transaction, AUDITED_CONNECTION, children);
    }
    await recordAuditEvent(transaction, {
      environmentId: id,
      actor,
      action: verdict === "restore" ? "environment.restored" : "environment.claimed",
      targetId: id,
      targetRevision: revision,
      ...(row?.deletion_id && { deletionId: row.deletion_id }),
    });
    return verdict;
  });
}

async function lockRow(transaction: Queryable, id: string): Promise<FoundRow | undefined> {
  const [row] = await transaction.query<FoundRow>(
    `select r.deletion_id, least(r.deletion_since, r.deleted_at)::text as since,
            ${RESTORABLE_COLUMNS}
       from keystead.environments r join keystead.environments e using (environment_id)
      where r.environment_id = $1
        for no key update of r`,
    [id],
  );
  return row;
}

/** A resource has one environment: one that was stored before it asked for the restore stands in its way. */
async function refuseConflict(transaction: Queryable, { id, owner }: EnvironmentRestore): Promise<void> {
  const [taken] = await transaction.query<{ environment_id: string }>(
    "select environment_id from keystead.environments where owner_uid = $1 and deleted_at is null",
    [owner.uid],
  );
  if (!taken) return;
  throw new KeysteadError(
    "restore_conflict",
    `environment ${id} cannot come back: this resource has the environment ${taken.environment_id} by now`,
  );
}

async function takeEnvironment(
  transaction: Queryable,
  { id, owner, rotationToken }: EnvironmentRestore,
): Promise<number> {
  const [row] = await transaction.query<{ revision: number }>(
    `update keystead.environments
        set name = $5, owner_cluster = $2, owner_release = $3, owner_namespace = $4, owner_name = $5, owner_uid = $6,
            claimed = true, handled_restore = $1, last_handled_rotation = coalesce($7, last_handled_rotation),
            deleted_at = null, deletion_id = null, deletion_since = null, revision = revision + 1, updated_at = now()
      where environment_id = $1
      returning revision`,
    [id, owner.cluster, owner.release, owner.namespace, owner.name, owner.uid, rotationToken ?? null],
  );
  return row?.revision ?? 0;
}
