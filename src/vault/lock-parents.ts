import type { Queryable } from "../db/session-pool.ts";
import { KeysteadError } from "../errors.ts";

/** Where a row is about to come back to. */
interface Parents {
  readonly environmentId: string;
  readonly integrationId?: string;
}

/**
 * Keeps the parents of a row alive until the transaction ends, and everybody out who would add one beside it. Rejects with
 * `environment_gone` or `integration_gone`.
 */
export async function lockParents(transaction: Queryable, { environmentId, integrationId }: Parents): Promise<void> {
  const environments = await transaction.query(
    // Without an integration the environment is what a new row would wait for.
    `select from keystead.environments where environment_id = $1 and deleted_at is null
        for ${integrationId === undefined ? "no key update" : "share"}`,
    [environmentId],
  );
  if (environments.length === 0) {
    throw new KeysteadError("environment_gone", `environment ${environmentId} does not exist or was deleted`, {
      details: { environmentId },
    });
  }
  if (integrationId === undefined) return;
  const integrations = await transaction.query(
    `select from keystead.integrations where environment_id = $1 and integration_id = $2 and deleted_at is null
        for no key update`,
    [environmentId, integrationId],
  );
  if (integrations.length > 0) return;
  throw new KeysteadError("integration_gone", `integration ${integrationId} does not exist or was deleted`, {
    details: { integrationId },
  });
}
