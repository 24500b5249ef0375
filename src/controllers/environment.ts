import { Secret } from "../crypto/secret.ts";
import { keyOf } from "../kube/object.ts";
import { parseDuration } from "../resources/duration.ts";
import { type Environment, parseEnvironment } from "../resources/environment.ts";
import {
  type DesiredEnvironment,
  type EnvironmentState,
  type EnvironmentVariable,
  environmentDigestsOf,
  isSettledEnvironment,
  type StoredEnvironment,
} from "../vault/environment.ts";
import { rotationSecondsOf } from "../resources/rotation.ts";
import { MAIN_SECRET_KEY } from "../vault/describe-environments.ts";
import { restoreEnvironment } from "../vault/restore-environment.ts";
import { CHILDREN_BATCH } from "../vault/soft-delete-children.ts";
import { softDeleteEnvironment } from "../vault/soft-delete-environment.ts";
import { storeEnvironment } from "../vault/store-environment.ts";
import { takeOver, unlessSuperseded } from "./adopt.ts";
import { keepApiKeys, refuseSharedSecret } from "./api-keys.ts";
import { claim } from "./claim.ts";
import { dataKeyTokenOf, replaceDataKey } from "./data-key-rotation.ts";
import { decide } from "./decide.ts";
import { type CallOptions, type ControllerDeps, ownerOf } from "./deps.ts";
import { keepSecrets } from "./environment-secret.ts";
import { instantOf } from "./instant.ts";
import { ENVIRONMENT } from "../resources/kinds.ts";
import { gone, type Outcome, settled, type StatusFields } from "./outcome.ts";
import { deleteSecretsOf } from "./owned-secrets.ts";
import { release } from "./release.ts";
import { reviveRow } from "./revive.ts";
import { dueInMs, keepKeysCurrent, noticeOfNewKey, refuseToken, rotationTokenOf, startGrace } from "./rotation.ts";
import type { Reconciler } from "./runner.ts";
import type { SecretTaker } from "./secret-value.ts";

/** The reconciler of Environments, for `followKind`. */
export function environmentReconciler(deps: ControllerDeps): Reconciler<Environment> {
  return {
    kind: ENVIRONMENT,
    parse: parseEnvironment,
    get: deps.environments.get,
    reconcile: (resource, calls) => unlessSuperseded(deps, resource, () => reconcileEnvironment(deps, resource, calls)),
    release: (resource, calls) => releaseEnvironment(deps, resource, calls),
    noticeOfChange: noticeOfNewKey,
  };
}

/**
 * One pass over an Environment: its row with keys and variables first, then the Secret that hands out the key, the
 * status last. A crash in between is repaired by the next pass, since the Secret is always written from the database.
 */
async function reconcileEnvironment(deps: ControllerDeps, declared: Environment, calls: CallOptions): Promise<Outcome> {
  const shared = refuseSharedSecret(declared);
  if (shared) return shared;
  const revived = await reviveRow(deps.client, declared, revivalOf(deps, declared), calls);
  if (revived.kind !== "revived") return revived;
  const own = await takeOver(deps, revived.resource, revived.state, calls);
  if (own.kind !== "own") return own;
  const { resource: environment } = own;
  const state = await keepKeysCurrent(deps, environment, own.state);
  const decision = await decide(
    deps.secrets,
    environment,
    {
      state,
      row: (take, sources): DesiredEnvironment => ({
        owner: ownerOf(deps, environment.metadata),
        retentionSeconds: Math.ceil(parseDuration(environment.spec.retention) / 1_000),
        rotationSeconds: rotationSecondsOf(environment.spec.rotation),
        variables: take ? variablesOf(environment, take) : "unchanged",
        declaration: { variables: environment.spec.variables },
        sources,
        rotationToken: rotationTokenOf(environment),
        dataKeyRotationToken: dataKeyTokenOf(environment),
        expectedRevision: state?.revision ?? 0,
      }),
      digestsOf: (row) => environmentDigestsOf(deps.vault, state?.id ?? "", row),
      isSettled: isSettledEnvironment,
    },
    calls,
  );
  if (decision.kind === "keep") return await publish(deps, environment, decision.state, calls);
  if (decision.kind !== "write") return decision;

  if (!(await claim(deps.client, ENVIRONMENT, environment, calls))) return gone();
  return await publish(deps, environment, await storeEnvironment(deps.vault, decision.row), calls);
}

function revivalOf(deps: ControllerDeps, declared: Environment) {
  const owner = ownerOf(deps, declared.metadata);
  const rotationToken = rotationTokenOf(declared);
  return {
    kind: ENVIRONMENT,
    find: (resource: Environment) => deps.rows.environment(resource),
    restore: (id: string) => restoreEnvironment(deps.vault, { id, owner, rotationToken }),
    // An environment comes back for the one resource that asked for it.
    claimRow: () => Promise.resolve(),
  };
}

/** Ends the keys of an Environment and everything in it, takes the Secrets that were written for it away, and lets it go. */
function releaseEnvironment(
  deps: ControllerDeps,
  environment: Omit<Environment, "spec">,
  calls: CallOptions,
): Promise<Outcome> {
  return release(
    deps,
    environment,
    {
      kind: ENVIRONMENT,
      rows: "environment",
      softDelete: (vault, uid, actor) =>
        softDeleteEnvironment(vault, uid, actor, CHILDREN_BATCH, environment.metadata.deletionTimestamp),
      cleanUp: () => deleteSecretsOf(deps.client, environment.metadata, new Set(), calls),
    },
    calls,
  );
}

/** Hands out what is stored: those who wait for the row are told, the Secret is kept right, the status says the rest. */
async function publish(
  deps: ControllerDeps,
  environment: Environment,
  stored: EnvironmentState | StoredEnvironment,
  calls: CallOptions,
): Promise<Outcome> {
  if (deps.rows.learn(environment.metadata.uid, { id: stored.id, environmentId: stored.id }))
    deps.wakeDependents("Environment", keyOf(environment));
  const state = await keepApiKeys(deps, environment, stored);
  const refused = await keepSecrets(deps, environment, state, calls);
  if (refused) return refused;
  const published = await startGrace(deps, environment, state);
  const dataKey = await replaceDataKey(deps, environment, state);
  if ("kind" in dataKey) return dataKey;
  const unread = refuseToken(environment);
  if (unread) return unread;
  const fields = {
    ...statusFieldsOf(published),
    ...(dataKey.handled !== undefined && { dataKey: { lastHandledRotation: dataKey.handled } }),
  };
  return settled("The environment is stored and its keys are in its Secret.", fields, dueInMs(published));
}

function statusFieldsOf(state: EnvironmentState): StatusFields {
  const { lastHandledRotation, nextRotation } = state;
  const previousKey = state.replacedKeys.find(({ name }) => name === MAIN_SECRET_KEY);
  return {
    environmentId: state.id,
    publicKey: state.publicKey,
    secretKey: {
      fingerprint: state.secretKeyFingerprint,
      issuedAt: instantOf(state.secretKeyIssuedAt),
      ...(lastHandledRotation !== undefined && { lastHandledRotation }),
      ...(nextRotation && { nextRotationAt: instantOf(nextRotation.at) }),
      ...(previousKey && { previousExpiresAt: instantOf(previousKey.end.at) }),
    },
  };
}

function variablesOf(environment: Environment, take: SecretTaker): EnvironmentVariable[] {
  return (environment.spec.variables ?? []).map(({ name, value = "", valueFrom }) => ({
    name,
    value: new Secret(valueFrom ? take.value(valueFrom.secretKeyRef) : value),
  }));
}
