import type { Queryable } from "../db/session-pool.ts";
import { KeysteadError } from "../errors.ts";
import { AUDITED_CONNECTION } from "./audit-fragments.ts";
import type { ReigningVault } from "./context.ts";
import { findRestorable } from "./find-restorable.ts";
import { type HeldEnvironment, lockParents } from "./lock-parents.ts";
import {
  judgeRestore,
  type Misplacement,
  type RestorableRow,
  type RestoreRequest,
  type RestoreVerdict,
} from "./restore-verdict.ts";
import { takeRow } from "./take-row.ts";

/** Which connection comes back, and where its resource says it belongs. */
export interface ConnectionRestore extends RestoreRequest, HeldEnvironment {
  readonly integrationId: string;
  readonly connectionId: string;
  /** The resource declares no credentials, so the row keeps those it had. */
  readonly keepsCredentials: boolean;
}

interface FoundRow extends RestorableRow {
  readonly environment_id: string;
  readonly integration_id: string;
  readonly connection_id: string;
  readonly deletion_id: string | null;
}

/** The columns above. */
const COLUMNS = "r.environment_id, r.integration_id, r.connection_id, r.deletion_id";

/**
 * Brings the soft-deleted connection of a resource back, for the resource that asks for it: served from the commit on. One
 * transaction; calling it again does nothing, so a crash after the commit loses nothing. Answers what was done, or that
 * it had been done before.
 *
 * Rejects with `restore_not_found`, `restore_not_managed`, `restore_forbidden`, `restore_alive`, `restore_conflict`,
 * `environment_gone`, `environment_superseded`, `integration_gone` or a `database_*` error.
 */
export async function restoreConnection(vault: ReigningVault, request: ConnectionRestore): Promise<RestoreVerdict> {
  const { id, environmentId, owner } = request;
  return vault.database.transaction(async (transaction) => {
    // From outside to inside, as those who delete and purge: whoever adds a row waits, and then meets the restored one.
    await lockParents(transaction, request);
    const row = await findRestorable<FoundRow>(transaction, AUDITED_CONNECTION, COLUMNS, request);
    const verdict = judgeRestore(row, request, row && misplacementOf(row, request));
    if (verdict === "handled") return verdict;
    if (verdict === "restore") await refuseConflict(transaction, request);
    if (request.keepsCredentials) await keepCredentials(transaction, environmentId, id);
    await takeRow(transaction, AUDITED_CONNECTION, {
      environmentId,
      id,
      owner,
      handledRestore: id,
      deletionId: row?.deletion_id ?? null,
    });
    return verdict;
  });
}

function misplacementOf(row: FoundRow, request: ConnectionRestore): Misplacement | undefined {
  if (row.environment_id !== request.environmentId) return "environment";
  if (row.integration_id !== request.integrationId) return "integration";
  return row.connection_id === request.connectionId ? undefined : "connection id";
}

/** Another connection may have its id by now, or its resource another connection. */
async function refuseConflict(transaction: Queryable, request: ConnectionRestore): Promise<void> {
  const { id, environmentId, integrationId, connectionId, owner } = request;
  const [taken] = await transaction.query(
    `select connection_row_id from keystead.connections
      where environment_id = $1 and integration_id = $2 and connection_id = $3 and deleted_at is null
      union all
     select connection_row_id from keystead.connections
      where environment_id = $1 and owner_uid = $4 and deleted_at is null`,
    [environmentId, integrationId, connectionId, owner.uid],
  );
  if (!taken) return;
  throw new KeysteadError(
    "restore_conflict",
    `connection ${id} cannot come back: the connection id ${connectionId} was taken meanwhile`,
  );
}

/** As if they came from a browser authorization: a resource that declares none takes none of them away. */
async function keepCredentials(transaction: Queryable, environmentId: string, id: string): Promise<void> {
  await transaction.query(
    "update keystead.connections set credentials_digest = null where environment_id = $1 and connection_row_id = $2",
    [environmentId, id],
  );
}
