import type { AuditedKind } from "./audit-fragments.ts";
import type { ReigningVault } from "./context.ts";
import { KeysteadError } from "../errors.ts";
import { type HeldEnvironment, holdEnvironment } from "./lock-parents.ts";
import { takeRow, type TakenRow } from "./take-row.ts";

/** What decides whether a resource may have a row that no other has. */
interface Claimable {
  readonly owner_cluster: string | null;
  readonly owner_namespace: string | null;
  readonly owner_name: string | null;
  readonly owner_uid: string | null;
  readonly claimed: boolean;
}

/** A row, the resource that wants it, and the Environment that this one refers to. */
type ClaimedRow = TakenRow & HeldEnvironment;

/**
 * Gives a restored row to the resource it was restored for: that of the same cluster, kind, namespace and name, while the
 * Environment it refers to has the environment. The caller found it under the resource's own connection id or key. Of two
 * that claim one row at once one gets it. Rejects with `row_changed` when it is not to be had any more, `environment_gone`,
 * `environment_superseded` or a `database_*` error.
 */
export async function claimRow(vault: ReigningVault, kind: AuditedKind, row: ClaimedRow): Promise<void> {
  const { environmentId, id, owner } = row;
  await vault.database.transaction(async (transaction) => {
    await holdEnvironment(transaction, row);
    const [found] = await transaction.query<Claimable>(
      `select owner_cluster, owner_namespace, owner_name, owner_uid, claimed
         from keystead.${kind.kind}s
        where environment_id = $1 and ${kind.idColumn} = $2 and deleted_at is null
          for no key update`,
      [environmentId, id],
    );
    if (!found || !isClaimable(found, owner)) {
      throw new KeysteadError("row_changed", `the row of ${owner.namespace}/${owner.name} was claimed meanwhile`);
    }
    await takeRow(transaction, kind, row);
  });
}

/** Whether a row waits for this resource. Pure. */
export function isClaimable(row: Claimable, owner: TakenRow["owner"]): boolean {
  if (row.claimed) return false;
  if (row.owner_uid === owner.uid) return true;
  return (
    row.owner_cluster === owner.cluster && row.owner_namespace === owner.namespace && row.owner_name === owner.name
  );
}
