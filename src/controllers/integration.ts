import { keyOf } from "../kube/object.ts";
import type { Resolved } from "../oauth/resolve-integration.ts";
import { type Integration, parseIntegration } from "../resources/integration.ts";
import { AUDITED_INTEGRATION } from "../vault/audit-fragments.ts";
import { claimRow } from "../vault/claim-row.ts";
import {
  type DesiredIntegration,
  type IntegrationState,
  integrationDigestsOf,
  isSettledIntegration,
} from "../vault/integration.ts";
import { restoreIntegration } from "../vault/restore-integration.ts";
import { softDeleteIntegration } from "../vault/soft-delete-integration.ts";
import { storeIntegration } from "../vault/store-integration.ts";
import { claim } from "./claim.ts";
import { decide } from "./decide.ts";
import { type CallOptions, type ControllerDeps, ownerOf } from "./deps.ts";
import { INTEGRATION } from "../resources/kinds.ts";
import { makeWay } from "./make-way.ts";
import { originChanged, originsOf } from "./origins.ts";
import { gone, type Outcome, settled } from "./outcome.ts";
import { findEnvironment, type StoredParent } from "./parents.ts";
import { providerUnknown, resolveSpec } from "./provider.ts";
import { release } from "./release.ts";
import { reviveRow, withFinalizer } from "./revive.ts";
import type { Reconciler } from "./runner.ts";
import type { SecretTaker } from "./secret-value.ts";

type Declared = Omit<DesiredIntegration, "client" | "sources">;

/** The reconciler of Integrations, for `followKind`. */
export function integrationReconciler(deps: ControllerDeps): Reconciler<Integration> {
  return {
    kind: INTEGRATION,
    parse: parseIntegration,
    get: deps.integrations.get,
    reconcile: (resource, calls) => reconcileIntegration(deps, resource, calls),
    release: (resource, calls) => releaseIntegration(deps, resource, calls),
  };
}

/** One pass over an Integration: its row says what its spec and the Secrets of its client say. */
async function reconcileIntegration(deps: ControllerDeps, resource: Integration, calls: CallOptions): Promise<Outcome> {
  const environment = await findEnvironment(deps, resource);
  if (environment.kind !== "environment") return environment;
  const resolved = resolveSpec(resource.spec);
  if (!resolved) return providerUnknown(resource);

  const revived = await reviveRow(deps.client, resource, revivalOf(deps, resource, environment), calls);
  if (revived.kind !== "revived") return revived;
  const { resource: integration, state } = revived;
  const declared = declare(deps, integration, resolved, environment, state);
  const decision = await decide(
    deps.secrets,
    integration,
    {
      state,
      row: (take, sources): DesiredIntegration => ({
        ...declared,
        client: hasClient(integration) ? (take ? assembleClient(integration, resolved, take) : "unchanged") : undefined,
        sources,
      }),
      digestsOf: (row) => integrationDigestsOf(deps.vault, row.environmentId, row),
      isSettled: isSettledIntegration,
    },
    calls,
  );
  if (decision.kind === "keep") return outcomeOf(deps, integration, resolved, decision.state);
  if (decision.kind !== "write") return decision;

  if (!(await claim(deps.client, INTEGRATION, integration, calls))) return gone();
  try {
    return outcomeOf(deps, integration, resolved, await storeIntegration(deps.vault, decision.row));
  } catch (thrown) {
    await makeWay(deps, AUDITED_INTEGRATION, decision.row, thrown, calls);
    return await reconcileIntegration(deps, withFinalizer(integration), calls);
  }
}

function revivalOf(deps: ControllerDeps, { metadata }: Integration, { environmentId, environmentUid }: StoredParent) {
  const owner = ownerOf(deps, metadata);
  const place = { environmentId, environmentUid, uniqueKey: metadata.name };
  return {
    kind: INTEGRATION,
    find: (resource: Integration) => deps.rows.integration(resource),
    restore: (id: string) => restoreIntegration(deps.vault, { id, owner, ...place }),
    claimRow: (state: IntegrationState) =>
      claimRow(deps.vault, AUDITED_INTEGRATION, { ...state, environmentUid, owner }),
  };
}

/** Soft-deletes an Integration with its connections and lets it go. */
function releaseIntegration(
  deps: ControllerDeps,
  integration: Omit<Integration, "spec">,
  calls: CallOptions,
): Promise<Outcome> {
  return release(
    deps,
    integration,
    { kind: INTEGRATION, rows: "integration", softDelete: softDeleteIntegration },
    calls,
  );
}

function declare(
  deps: ControllerDeps,
  integration: Integration,
  resolved: Resolved,
  { environmentId, environmentUid }: StoredParent,
  state: IntegrationState | undefined,
): Declared {
  const { name } = integration.metadata;
  const { provider, scopes, clientId, clientIdRef, clientSecretRef, appId, privateKeyRef } = integration.spec;
  const { auth, proxy } = resolved;
  return {
    owner: ownerOf(deps, integration.metadata),
    environmentId,
    environmentUid,
    uniqueKey: name,
    provider: provider ?? name,
    expectedRevision: state?.revision ?? 0,
    known: state,
    handledRestore: integration.spec.restoreFrom,
    declaration: { mode: auth.mode, scopes, clientId, clientIdRef, clientSecretRef, appId, privateKeyRef },
    settings: { auth, scopes: scopes ?? [], proxy },
    acceptedOrigins: originsOf(integration, resolved, state?.acceptedOrigins).accepted,
  };
}

function hasClient(integration: Integration): boolean {
  const { clientId, clientIdRef, clientSecretRef, appId, privateKeyRef } = integration.spec;
  return [clientId, clientIdRef, clientSecretRef, appId, privateKeyRef].some((part) => part !== undefined);
}

/** The client in Nango's shape: the parts that were declared, and the scopes as one comma-separated string. */
function assembleClient(
  integration: Integration,
  { auth }: Resolved,
  take: SecretTaker,
): NonNullable<DesiredIntegration["client"]> {
  const { scopes, clientId, clientIdRef, clientSecretRef, appId, privateKeyRef } = integration.spec;
  return {
    type: auth.mode,
    client_id: clientIdRef ? take.value(clientIdRef) : clientId,
    client_secret: clientSecretRef && take.value(clientSecretRef),
    scopes: scopes?.join(","),
    app_id: appId,
    private_key: privateKeyRef && take.value(privateKeyRef),
  };
}

function outcomeOf(
  deps: ControllerDeps,
  integration: Integration,
  resolved: Resolved,
  state: IntegrationState,
): Outcome {
  if (deps.rows.learn(integration.metadata.uid, state)) deps.wakeDependents("Integration", keyOf(integration));
  const { pending } = originsOf(integration, resolved, state.acceptedOrigins);
  if (pending.length > 0) return originChanged(integration, pending);
  return settled("The integration is stored; connections can be made with it.", { integrationId: state.id });
}
