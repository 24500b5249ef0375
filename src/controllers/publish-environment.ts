import { keyOf } from "../kube/object.ts";
import type { Environment } from "../resources/environment.ts";
import { MAIN_SECRET_KEY } from "../vault/describe-environments.ts";
import type { EnvironmentState, StoredEnvironment } from "../vault/environment.ts";
import { keepApiKeys } from "./api-keys.ts";
import { replaceDataKey } from "./data-key-rotation.ts";
import type { CallOptions, ControllerDeps } from "./deps.ts";
import { keepSecrets } from "./environment-secret.ts";
import { instantOf } from "./instant.ts";
import { type Outcome, settled, type StatusFields } from "./outcome.ts";
import { keepServiceAccounts } from "./service-accounts.ts";
import { dueInMs, refuseToken, startGrace } from "./rotation.ts";

/** Hands out what is stored: those who wait for the row are told, the Secret is kept right, the status says the rest. */
export async function publishEnvironment(
  deps: ControllerDeps,
  environment: Environment,
  stored: EnvironmentState | StoredEnvironment,
  calls: CallOptions,
): Promise<Outcome> {
  if (deps.rows.learn(environment.metadata.uid, { id: stored.id, environmentId: stored.id }))
    deps.wakeDependents("Environment", keyOf(environment));
  const state = await keepApiKeys(deps, environment, stored);
  await keepServiceAccounts(deps, environment, state, calls);
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
