import type { Queryable } from "../db/session-pool.ts";
import type { AuditedKind } from "./audit-fragments.ts";
import { RESTORABLE_COLUMNS, type RestorableRow } from "./restore-verdict.ts";

/** Which row is to come back, and where its resource says it is. */
interface WantedRow {
  readonly environmentId: string;
  readonly id: string;
}

/**
 * The row of an Integration or Connection that is to come back, locked until the transaction ends, with the `columns` of it (of
 * `r`) that say where it belongs. One of another environment is found as well, and not locked: only to say why it is refused.
 */
export async function findRestorable<Row extends RestorableRow>(
  transaction: Queryable,
  kind: AuditedKind,
  columns: string,
  { environmentId, id }: WantedRow,
): Promise<Row | undefined> {
  return (
    (await lockRow<Row>(transaction, kind, columns, { environmentId, id })) ??
    findElsewhere(transaction, kind, columns, id)
  );
}

async function lockRow<Row extends RestorableRow>(
  transaction: Queryable,
  { kind, idColumn }: AuditedKind,
  columns: string,
  { environmentId, id }: WantedRow,
): Promise<Row | undefined> {
  const [row] = await transaction.query<Row>(
    `select ${columns}, ${RESTORABLE_COLUMNS}
       from keystead.${kind}s r join keystead.environments e using (environment_id)
      where r.environment_id = $1 and r.${idColumn} = $2
        for no key update of r`,
    [environmentId, id],
  );
  return row;
}

/** One look into each environment, which a resource that was refused repeats rarely. */
async function findElsewhere<Row extends RestorableRow>(
  transaction: Queryable,
  { kind, idColumn }: AuditedKind,
  columns: string,
  id: string,
): Promise<Row | undefined> {
  const [row] = await transaction.query<Row>(
    `select ${columns}, ${RESTORABLE_COLUMNS}
       from keystead.environments e
       join keystead.${kind}s r on r.environment_id = e.environment_id and r.${idColumn} = $1`,
    [id],
  );
  return row;
}
