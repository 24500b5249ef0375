import { KeysteadError } from "../errors.ts";
import { recordAuditEvent } from "./audit.ts";
import type { ReigningVault } from "./context.ts";
import { createEnvironment } from "./create-environment.ts";
import { withCurrentDataKey } from "./current-data-key.ts";
import { describeEnvironments, MAIN_SECRET_KEY } from "./describe-environments.ts";
import { changedEnvironmentParts, environmentDigestsOf, plainVariables } from "./environment.ts";
import type { DesiredEnvironment, EnvironmentDigests, EnvironmentState, StoredEnvironment } from "./environment.ts";
import { sameSources } from "./owner.ts";
import { readEnvironmentSecretKey } from "./read-environment-secret-key.ts";
import { type Deadline, deadlineOf, millisecondsUntil, nextRotation } from "./rotation-schedule.ts";
import { sealJson } from "./seal.ts";

/** Without an expected revision the call may meet other writers: each time it loses, somebody else got on. */
const ATTEMPTS = 3;

/**
 * Makes the row of an Environment resource say what the resource says. The first call creates environment and keys,
 * later ones write only what differs, each in one transaction with its audit event; every call gives the secret key.
 *
 * Two processes that store one resource at once end with one row and one key. Rejects with `row_changed` (describe
 * again), `environment_gone`, `json_not_canonical` or a `database_*` error.
 */
export function storeEnvironment(vault: ReigningVault, desired: DesiredEnvironment): Promise<StoredEnvironment> {
  return withCurrentDataKey(() => storeOnce(vault, desired));
}

async function storeOnce(vault: ReigningVault, desired: DesiredEnvironment): Promise<StoredEnvironment> {
  const { owner, expectedRevision, variables } = desired;
  for (let attempt = 1; attempt <= ATTEMPTS; attempt += 1) {
    const state = (await describeEnvironments(vault, [owner.uid])).get(owner.uid);
    // Whether it moved on or was deleted: the caller has to look again.
    if (expectedRevision !== undefined && expectedRevision !== (state?.revision ?? 0)) break;
    // Nothing is stored that could stay unchanged.
    if (!state && variables === "unchanged") break;
    const stored =
      state === undefined && variables !== "unchanged"
        ? await createEnvironment(vault, { ...desired, variables })
        : state && (await updateEnvironment(vault, desired, state));
    if (stored) return stored;
  }
  throw new KeysteadError("row_changed", `the row of ${owner.namespace}/${owner.name} changed since it was read`);
}

/** Another interval counts from when the current key was made, so that it is a deadline for that one already. */
const ISSUED_AT = `(
  select k.issued_at from keystead.secret_keys k
   where k.environment_id = $1 and k.name = $10 and k.replaced_at is null
)`;

/** `undefined` when another process changed or deleted the row meanwhile. */
async function updateEnvironment(
  vault: ReigningVault,
  desired: DesiredEnvironment,
  state: EnvironmentState,
): Promise<StoredEnvironment | undefined> {
  const digests = await environmentDigestsOf(vault, state.id, desired);
  const changed = changedEnvironmentParts(state.digests, digests);
  if (desired.variables === "unchanged" && changed.includes("declaration")) throw secretsNeeded(desired);
  const isSettled = changed.length === 0 && sameSources(state.sources, desired.sources);
  const written = isSettled ? state : await writeChanges(vault, desired, state, digests, changed);
  if (!written) return undefined;
  return {
    ...state,
    revision: state.revision + (changed.length > 0 ? 1 : 0),
    retentionSeconds: desired.retentionSeconds,
    digests: { ...digests, variables: digests.variables ?? state.digests.variables },
    sources: desired.sources,
    nextRotation: written.nextRotation,
    secretKey: await readEnvironmentSecretKey(vault, state.id),
    changed: changed.length > 0,
  };
}

/** `undefined` when the row is not at its revision any more. */
async function writeChanges(
  vault: ReigningVault,
  desired: DesiredEnvironment,
  state: EnvironmentState,
  digests: EnvironmentDigests,
  changed: readonly string[],
): Promise<{ readonly nextRotation: Deadline | undefined } | undefined> {
  const { id: environmentId } = state;
  const revision = state.revision + (changed.length > 0 ? 1 : 0);
  const sealed =
    changed.includes("variables") && desired.variables !== "unchanged"
      ? await sealJson(
          vault,
          { label: "environment.variables", environmentId, rowId: environmentId, revision },
          plainVariables(desired.variables),
        )
      : null;
  return vault.database.transaction(async (transaction) => {
    const [row] = await transaction.query<{ next_rotation_at: Date | null; next_rotation_ms: number | null }>(
      `update keystead.environments
          set variables_sealed = coalesce($3, variables_sealed),
              variables_revision = case when $3::bytea is null then variables_revision else $4 end,
              retention_seconds = $5,
              declaration_digest = $6,
              variables_digest = coalesce($7, variables_digest),
              sources = $8,
              rotation_seconds = $9::bigint,
              requests_per_minute = $11,
              allowed_cidrs = $12::inet[],
              next_rotation_at = case
                when rotation_seconds is not distinct from $9 then next_rotation_at
                else ${nextRotation(ISSUED_AT, "$9")}
              end,
              revision = $4,
              updated_at = case when revision = $4 then updated_at else now() end
        where environment_id = $1 and revision = $2 and deleted_at is null
        returning next_rotation_at, ${millisecondsUntil("next_rotation_at")} as next_rotation_ms`,
      [
        environmentId,
        state.revision,
        sealed,
        revision,
        desired.retentionSeconds,
        digests.declaration,
        digests.variables ?? null,
        JSON.stringify(desired.sources),
        desired.rotationSeconds ?? null,
        MAIN_SECRET_KEY,
        desired.requestsPerMinute ?? 0,
        desired.allowedCidrs ?? null,
      ],
    );
    if (!row) return undefined;
    if (changed.length > 0) {
      await recordAuditEvent(transaction, {
        environmentId,
        actor: { kind: "resource", owner: desired.owner },
        action: "environment.updated",
        targetId: environmentId,
        targetRevision: revision,
        fields: changed,
      });
    }
    return { nextRotation: deadlineOf(row.next_rotation_at, row.next_rotation_ms) };
  });
}

function secretsNeeded({ owner }: DesiredEnvironment): KeysteadError {
  return new KeysteadError(
    "row_changed",
    `the variables of ${owner.namespace}/${owner.name} have to be read: what is stored was declared otherwise`,
  );
}
