import { uuidv7 } from "../crypto/uuid.ts";
import { KeysteadError } from "../errors.ts";
import { changedIntegrationParts, integrationDigestsOf, INTEGRATION_PARTS } from "./integration.ts";
import type { DesiredIntegration, IntegrationPart, IntegrationState, StoredIntegration } from "./integration.ts";
import type { IntegrationRow } from "./integration-statements.ts";
import { sameSources } from "./owner.ts";
import { sealJson, type Seals } from "./seal.ts";
import type { StorePlan } from "./store-rows.ts";

/**
 * Decides what has to be written for an Integration resource, and seals it. Rejects with `row_changed` when the caller
 * left out secret values that are needed after all.
 */
export async function planIntegration(
  vault: Seals,
  desired: DesiredIntegration,
  found: IntegrationState | undefined,
): Promise<StorePlan<IntegrationRow, StoredIntegration>> {
  // A row of the same resource in another environment is another integration.
  const state = found?.environmentId === desired.environmentId ? found : undefined;
  const digests = await integrationDigestsOf(vault, desired.environmentId, desired);
  const changed = state ? changedIntegrationParts(state.digests, digests) : INTEGRATION_PARTS;
  if (desired.client === "unchanged" && (!state || changed.includes("declaration"))) throw secretsNeeded(desired);

  const stored: StoredIntegration = {
    id: state?.id ?? uuidv7(),
    environmentId: desired.environmentId,
    uniqueKey: desired.uniqueKey,
    revision: (state?.revision ?? 0) + (changed.length > 0 ? 1 : 0),
    digests: { ...digests, client: digests.client === undefined ? (state?.digests.client ?? null) : digests.client },
    sources: desired.sources,
    acceptedOrigins: desired.acceptedOrigins,
    claimed: true,
    handledRestore: state ? state.handledRestore : desired.handledRestore,
    changed: changed.length > 0,
  };
  if (state && changed.length === 0 && sameSources(state.sources, desired.sources)) return { kind: "settled", stored };
  const row = await integrationRow(vault, desired, state, stored, changed);
  return { kind: state ? "update" : "insert", row, stored };
}

/** Seals the client only if it changed. */
async function integrationRow(
  vault: Seals,
  desired: DesiredIntegration,
  state: IntegrationState | undefined,
  stored: StoredIntegration,
  changed: readonly IntegrationPart[],
): Promise<IntegrationRow> {
  const { owner } = desired;
  const place = { environmentId: stored.environmentId, rowId: stored.id, revision: stored.revision };
  const client = changed.includes("client") && desired.client !== "unchanged" ? desired.client : undefined;
  return {
    environment_id: stored.environmentId,
    integration_id: stored.id,
    unique_key: stored.uniqueKey,
    owner_cluster: owner.cluster,
    owner_release: owner.release,
    owner_namespace: owner.namespace,
    owner_name: owner.name,
    owner_uid: owner.uid,
    environment_uid: desired.environmentUid,
    provider: desired.provider,
    display_name: desired.displayName ?? desired.uniqueKey,
    settings: JSON.stringify(desired.settings),
    accepted_origins: desired.acceptedOrigins ? JSON.stringify(desired.acceptedOrigins) : null,
    client_sealed: client ? await sealJson(vault, { ...place, label: "integration.client" }, client) : null,
    declaration_digest: stored.digests.declaration,
    client_digest: stored.digests.client,
    rest_digest: stored.digests.rest,
    sources: JSON.stringify(desired.sources),
    handled_restore: stored.handledRestore ?? null,
    field_manager: desired.owner.fieldManager ?? null,
    revision: state?.revision ?? 0,
    replaces_client: changed.includes("client"),
    changed: changed.join(","),
  };
}

function secretsNeeded({ owner }: DesiredIntegration): KeysteadError {
  return new KeysteadError(
    "row_changed",
    `the client of ${owner.namespace}/${owner.name} has to be read: what is stored was declared otherwise`,
  );
}
