import type { Queryable } from "../db/session-pool.ts";
import type { AuditedKind } from "./audit-fragments.ts";

/** Which tables hold rows of resources. */
export type ManagedKind = "environment" | AuditedKind["kind"];

/** A living row that a resource manages. */
export interface ManagedRow {
  readonly kind: ManagedKind;
  readonly id: string;
  readonly owner_uid: string;
  readonly owner_namespace: string;
  readonly owner_name: string;
}

const ID_COLUMN = {
  environment: "environment_id",
  integration: "integration_id",
  connection: "connection_row_id",
} as const satisfies Record<ManagedKind, string>;

/** Rows of one query: 200 KB of answer. */
const PAGE = 1_000;

/** No row has this id. */
const BEFORE_ALL = "00000000-0000-0000-0000-000000000000";

/**
 * All living rows of a release's resources in a cluster, page by page, each kind after those that it lies in. Unclaimed
 * ones are left out: no resource has them yet. A row that is made meanwhile may be missing.
 */
export async function* managedRows(
  vault: { readonly database: Queryable },
  { cluster, release }: { readonly cluster: string; readonly release: string },
): AsyncGenerator<readonly ManagedRow[]> {
  for (const kind of ["environment", "integration", "connection"] as const) {
    const id = ID_COLUMN[kind];
    let last: { environment_id: string; id: string } | undefined = { environment_id: BEFORE_ALL, id: BEFORE_ALL };
    while (last) {
      const rows: (ManagedRow & { readonly environment_id: string })[] = await vault.database.query(
        `select '${kind}' as kind, environment_id, ${id} as id, owner_uid, owner_namespace, owner_name
           from keystead.${kind}s
          where (environment_id, ${id}) > ($1, $2) and deleted_at is null and claimed
            and owner_cluster = $3 and owner_release = $4
          order by environment_id, ${id}
          limit ${PAGE}`,
        [last.environment_id, last.id, cluster, release],
      );
      if (rows.length > 0) yield rows;
      last = rows.length === PAGE ? rows.at(-1) : undefined;
    }
  }
}

/** Whether the row is still alive and claimed by that resource. */
export async function isStillManaged(
  vault: { readonly database: Queryable },
  { kind, id, owner_uid: uid }: Pick<ManagedRow, "kind" | "id" | "owner_uid">,
): Promise<boolean> {
  const rows = await vault.database.query(
    `select from keystead.${kind}s where owner_uid = $1 and ${ID_COLUMN[kind]} = $2 and deleted_at is null and claimed`,
    [uid, id],
  );
  return rows.length > 0;
}
