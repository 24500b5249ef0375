import type { Queryable } from "../db/session-pool.ts";
import type { AuditedKind } from "./audit-fragments.ts";
import { recordAuditEvent } from "./audit.ts";
import type { Owner } from "./owner.ts";

/** A row, and the resource it is to belong to. */
export interface TakenRow {
  readonly environmentId: string;
  readonly id: string;
  readonly owner: Owner;
  /** `spec.restoreFrom`, when that is why. */
  readonly handledRestore?: string | undefined;
  /** The deletion that it comes back from. */
  readonly deletionId?: string | null;
}

/**
 * Makes an Integration's or Connection's row the resource's, alive and claimed, and records it: as restored where it comes
 * back from a deletion, else as claimed. The caller has locked and judged it.
 */
export async function takeRow(
  transaction: Queryable,
  { kind, idColumn }: AuditedKind,
  { environmentId, id, owner, handledRestore, deletionId }: TakenRow,
): Promise<void> {
  const [row] = await transaction.query<{ revision: number }>(
    `update keystead.${kind}s
        set owner_cluster = $3, owner_release = $4, owner_namespace = $5, owner_name = $6, owner_uid = $7,
            claimed = true, handled_restore = coalesce($8, handled_restore),
            deleted_at = null, deletion_id = null, revision = revision + 1, updated_at = now()
      where environment_id = $1 and ${idColumn} = $2
      returning revision`,
    [environmentId, id, owner.cluster, owner.release, owner.namespace, owner.name, owner.uid, handledRestore ?? null],
  );
  await recordAuditEvent(transaction, {
    environmentId,
    actor: { kind: "resource", owner },
    action: deletionId ? `${kind}.restored` : `${kind}.claimed`,
    targetId: id,
    targetRevision: row?.revision ?? 0,
    ...(deletionId && { deletionId }),
  });
}
