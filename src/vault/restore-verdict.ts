import { KeysteadError } from "../errors.ts";
import type { Owner } from "./owner.ts";

/** What is known of a row that a resource wants to have back. */
export interface RestorableRow {
  readonly owner_cluster: string | null;
  readonly owner_namespace: string | null;
  readonly owner_name: string | null;
  readonly owner_uid: string | null;
  readonly claimed: boolean;
  readonly handled_restore: string | null;
  readonly is_deleted: boolean;
  /** Whether its retention has ended, by the clock of the database. */
  readonly is_over: boolean;
}

/**
 * The columns above, of a table `r` whose environment is `e`. By the clock of this moment, not that of the transaction's begin:
 * it may have waited for a purge to let go of the row.
 */
export const RESTORABLE_COLUMNS = `r.owner_cluster, r.owner_namespace, r.owner_name, r.owner_uid, r.claimed,
  r.handled_restore, r.deleted_at is not null as is_deleted,
  coalesce(r.deleted_at + make_interval(secs => e.retention_seconds) <= clock_timestamp(), false) as is_over`;

/** Who wants which row. */
export interface RestoreRequest {
  /** `spec.restoreFrom`. */
  readonly id: string;
  readonly owner: Owner;
}

/** What a row has that its resource must have as well; `undefined` where all is as it should be. */
export type Misplacement = "environment" | "integration" | "connection id" | "name";

/** What is to be done. */
export type RestoreVerdict =
  /** It is deleted and comes back. */
  | "restore"
  /** It is alive already and becomes the resource's, or is. */
  | "claim"
  /** This resource had it back before: it still has it, or it went with its parent since and the resource is stored anew. */
  | "handled";

/**
 * Decides about a restore. Throws `restore_not_found`, `restore_not_managed`, `restore_forbidden` or `restore_alive`; the
 * message never says more about a row of somebody else than that it is one. Pure.
 */
export function judgeRestore(
  row: RestorableRow | undefined,
  { id, owner }: RestoreRequest,
  misplaced: Misplacement | undefined,
): RestoreVerdict {
  if (!row || (row.is_deleted && row.is_over)) {
    throw new KeysteadError(
      "restore_not_found",
      `nothing with the id ${id} can be restored: it was erased at the end of its retention, or never was`,
    );
  }
  if (row.owner_uid === null) {
    throw new KeysteadError(
      "restore_not_managed",
      `what has the id ${id} was made over the API, and no resource can restore it`,
    );
  }
  if (row.owner_cluster !== owner.cluster || row.owner_namespace !== owner.namespace) {
    throw new KeysteadError(
      "restore_forbidden",
      `what has the id ${id} belonged to a resource of another cluster or namespace`,
    );
  }
  const isOwn = row.owner_uid === owner.uid;
  const wasHandled = isOwn && row.handled_restore === id;
  if (misplaced) {
    if (wasHandled && row.is_deleted) return "handled";
    throw new KeysteadError("restore_forbidden", `what has the id ${id} is of another ${misplaced} than this resource`);
  }
  if (row.is_deleted) return "restore";
  if (wasHandled && row.claimed) return "handled";
  if (isOwn || (!row.claimed && row.owner_name === owner.name)) return "claim";
  throw new KeysteadError(
    "restore_alive",
    `what has the id ${id} was not deleted, or was restored already: another resource has it`,
  );
}
