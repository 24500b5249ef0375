import type { ConnectionState, DesiredConnection, StoredConnection } from "./connection.ts";
import { insertConnections, updateConnections, type ConnectionRow } from "./connection-statements.ts";
import type { ReigningVault } from "./context.ts";
import { withCurrentDataKey } from "./current-data-key.ts";
import { describeConnections } from "./describe-connections.ts";
import { unwrapOutcome, type Outcome } from "./outcome.ts";
import { planConnection } from "./plan-connection.ts";
import { explainRefusedConnection } from "./refused-connection.ts";
import type { ReigningSeals } from "./seal.ts";
import { storeRows } from "./store-rows.ts";

/**
 * Makes the row of a Connection resource say what the resource says: created on the first call, later only what differs
 * is encrypted and written, with an audit event, in one statement that callers of the same moment share. Seeds of OAuth
 * tokens are written when they themselves change, so a token that was refreshed since is not overwritten.
 *
 * Two processes that store one resource at once end with one row. Rejects with `connection_id_in_use`,
 * `environment_gone`, `integration_gone`, `row_changed` (describe again), `json_not_canonical` or a `database_*` error.
 */
export async function storeConnection(vault: ReigningVault, desired: DesiredConnection): Promise<StoredConnection> {
  return unwrapOutcome(await vault.connectionBatch(desired));
}

/** One batch of the above: an outcome for each item, in their order. */
export async function storeConnections(
  vault: ReigningSeals,
  items: readonly DesiredConnection[],
): Promise<readonly Outcome<StoredConnection>[]> {
  const environmentIds = new Set(items.map((item) => item.environmentId));
  // All at once, so that one query loads them; whose keys cannot be had finds out when it is planned.
  await Promise.allSettled([...environmentIds].map((environmentId) => vault.environmentKeys.of(environmentId)));
  const store = () =>
    storeRows<DesiredConnection, ConnectionState, ConnectionRow, StoredConnection>(
      {
        describe: (batch) =>
          describeConnections(
            vault,
            batch.map((item) => item.owner.uid),
          ),
        plan: (desired, state) => planConnection(vault, desired, state),
        insert: (rows) => insertConnections(vault, rows),
        update: (rows) => updateConnections(vault, rows),
        explain: (desired) => explainRefusedConnection(vault.database, desired),
      },
      items,
    );
  return withCurrentDataKey(store);
}
