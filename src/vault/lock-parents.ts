import type { Queryable } from "../db/session-pool.ts";
import { KeysteadError } from "../errors.ts";

/** An environment, and the Environment that has to have it. */
export interface HeldEnvironment {
  readonly environmentId: string;
  /** uid of the Environment that a resource refers to: refused where another one has the environment. */
  readonly environmentUid: string;
}

/** Where a row is about to come back to. */
interface Parents extends HeldEnvironment {
  readonly integrationId?: string;
}

/**
 * Keeps the parents of a row alive until the transaction ends, and everybody out who would add one beside it. Rejects with
 * `environment_gone`, `environment_superseded` or `integration_gone`.
 */
export async function lockParents(transaction: Queryable, parents: Parents): Promise<void> {
  const { environmentId, integrationId } = parents;
  // Without an integration the environment is what a new row would wait for.
  await holdEnvironment(transaction, parents, integrationId === undefined ? "no key update" : "share");
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

/**
 * Keeps an environment alive and whose it is until the transaction ends. Rejects with `environment_gone` or
 * `environment_superseded`.
 */
export async function holdEnvironment(
  transaction: Queryable,
  { environmentId, environmentUid }: HeldEnvironment,
  lock: "share" | "no key update" = "share",
): Promise<void> {
  const [environment] = await transaction.query<{ readonly is_held: boolean }>(
    `select owner_uid is not distinct from $2 as is_held
       from keystead.environments
      where environment_id = $1 and deleted_at is null
        for ${lock}`,
    [environmentId, environmentUid],
  );
  if (!environment) {
    throw new KeysteadError("environment_gone", `environment ${environmentId} does not exist or was deleted`, {
      details: { environmentId },
    });
  }
  if (!environment.is_held) throw environmentSuperseded(environmentId);
}

/** What another Environment took over is none of the resource's any more. */
export function environmentSuperseded(environmentId: string): KeysteadError {
  return new KeysteadError(
    "environment_superseded",
    `environment ${environmentId} was taken over by another Environment`,
    { details: { environmentId } },
  );
}
