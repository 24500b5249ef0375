import type { ReigningVault } from "./context.ts";
import { withCurrentDataKey } from "./current-data-key.ts";
import { describeIntegrations } from "./describe-integrations.ts";
import type { DesiredIntegration, IntegrationState, StoredIntegration } from "./integration.ts";
import { insertIntegrations, updateIntegrations, type IntegrationRow } from "./integration-statements.ts";
import { unwrapOutcome, type Outcome } from "./outcome.ts";
import { planIntegration } from "./plan-integration.ts";
import { explainRefusedIntegration } from "./refused-integration.ts";
import type { ReigningSeals } from "./seal.ts";
import { storeRows } from "./store-rows.ts";

/**
 * Makes the row of an Integration resource say what the resource says, as `storeConnection` does for connections.
 * Rejects with `integration_key_in_use`, `environment_gone`, `row_changed` (describe again), `json_not_canonical` or a
 * `database_*` error.
 */
export async function storeIntegration(vault: ReigningVault, desired: DesiredIntegration): Promise<StoredIntegration> {
  return unwrapOutcome(await vault.integrationBatch(desired));
}

/** One batch of the above: an outcome for each item, in their order. */
export async function storeIntegrations(
  vault: ReigningSeals,
  items: readonly DesiredIntegration[],
): Promise<readonly Outcome<StoredIntegration>[]> {
  const environmentIds = new Set(items.map((item) => item.environmentId));
  await Promise.allSettled([...environmentIds].map((environmentId) => vault.environmentKeys.of(environmentId)));
  const store = () =>
    storeRows<DesiredIntegration, IntegrationState, IntegrationRow, StoredIntegration>(
      {
        describe: (batch) =>
          describeIntegrations(
            vault,
            batch.map((item) => item.owner.uid),
          ),
        plan: (desired, state) => planIntegration(vault, desired, state),
        insert: (rows) => insertIntegrations(vault, rows),
        update: (rows) => updateIntegrations(vault, rows),
        explain: (desired) => explainRefusedIntegration(vault.database, desired),
      },
      items,
    );
  return withCurrentDataKey(store);
}
