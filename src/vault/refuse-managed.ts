import { KeysteadError } from "../errors.ts";

/** Whose a row is; all null when it came over the API. */
export interface OwnedRow {
  readonly owner_uid: string | null;
  readonly owner_namespace: string | null;
  readonly owner_name: string | null;
}

/** The columns above. */
export const OWNED_COLUMNS = "owner_uid, owner_namespace, owner_name";

/**
 * Refuses to change over the API what a resource declares, one that was restored and waits for its resource included. Throws
 * `managed_by_resource`, whose payload names the resource. Pure.
 */
export function refuseManaged(kind: "Connection" | "Integration", row: OwnedRow, what: string): void {
  if (row.owner_uid === null) return;
  const { owner_namespace: namespace, owner_name: name } = row;
  throw new KeysteadError(
    "managed_by_resource",
    `${what} is managed by ${kind} ${namespace}/${name}: change that resource instead.`,
    { details: { payload: { kind, namespace, name } } },
  );
}
