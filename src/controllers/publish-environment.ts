import { keyOf } from "../kube/object.ts";
import type { Environment } from "../resources/environment.ts";
import { MAIN_SECRET_KEY } from "../vault/describe-environments.ts";
import type { EnvironmentState, StoredEnvironment } from "../vault/environment.ts";
import { keepApiKeys } from "./api-keys.ts";
import { replaceDataKey } from "./data-key-rotation.ts";
import type { CallOptions, ControllerDeps } from "./deps.ts";
import { keepSecrets } from "./environment-secret.ts";
import { instantOf } from "./instant.ts";
import { type Outcome, settled, type StatusFields, withFound } from "./outcome.ts";
import { dueInMs, refuseToken, startGrace } from "./rotation.ts";
import { keepServiceAccounts } from "./service-accounts.ts";

/** What there is to hand out. */
interface Publication {
  readonly stored: EnvironmentState | StoredEnvironment;
  /** It was stored in this pass for the first time. */
  readonly isNew?: boolean;
  /** Why the rest of the Environment could not be stored: the keys are handed out all the same, and this is told then. */
  readonly heldUp?: Outcome;
}

/** Hands out what is stored: those who wait for the row are told, the Secret is kept right, the status says the rest. */
export async function publishEnvironment(
  deps: ControllerDeps,
  environment: Environment,
  { stored, isNew = false, heldUp }: Publication,
  calls: CallOptions,
): Promise<Outcome> {
  if (deps.rows.learn(environment.metadata.uid, { id: stored.id, environmentId: stored.id }))
    deps.wakeDependents("Environment", keyOf(environment));
  const state = await keepApiKeys(deps, environment, stored);
  const absent = await keepServiceAccounts(deps, environment, state, calls);
  const secrets = await keepSecrets(deps, environment, { state, isNew }, calls);
  const published = await startGrace(deps, environment, state, secrets.withheld);
  const dataKey = await replaceDataKey(deps, environment, state);
  const handled = "kind" in dataKey ? undefined : dataKey.handled;
  const fields = {
    ...statusFieldsOf(published),
    ...(handled !== undefined && { dataKey: { lastHandledRotation: handled } }),
  };
  const dueIn = dueInMs(published);
  const trouble = secrets.refused ?? ("kind" in dataKey ? dataKey : refuseToken(environment)) ?? heldUp ?? absent;
  if (trouble) return withFound(trouble, { fields, dueInMs: dueIn });
  return settled("The environment is stored and its keys are in its Secret.", fields, dueIn);
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
