import { scopesOf } from "../resources/api-keys.ts";
import { parseDuration } from "../resources/duration.ts";
import { type Environment, secretNameOf } from "../resources/environment.ts";
import { KeysteadError } from "../errors.ts";
import { type DesiredApiKeyWithToken, sameApiKeys } from "../vault/api-key.ts";
import type { EnvironmentState } from "../vault/environment.ts";
import { storeApiKeys } from "../vault/store-api-keys.ts";
import { type ControllerDeps, ownerOf } from "./deps.ts";
import { type Outcome, stalled } from "./outcome.ts";
import { withFinalizer } from "./revive.ts";
import { keepKeysCurrent, rotationTokenOf } from "./rotation.ts";

/**
 * What is stored for an Environment, once its keys are as it asks: rotated, ended, made and removed. To be asked before
 * anything that may hold a pass up, since a key that leaked has to go whatever else the Environment says.
 */
export async function findWithKeys(
  deps: ControllerDeps,
  environment: Environment,
): Promise<EnvironmentState | undefined> {
  const current = await keepKeysCurrent(deps, environment, await deps.rows.environment(environment));
  return current && (await keepApiKeys(deps, environment, current));
}

/** Makes, edits and removes the named keys of an Environment as it declares them. Answers what is stored afterwards. */
export async function keepApiKeys<State extends EnvironmentState>(
  deps: ControllerDeps,
  environment: Environment,
  state: State,
): Promise<State> {
  const keys = desiredApiKeys(environment);
  if (sameApiKeys(state.apiKeys, keys)) return state;
  await storeApiKeys(deps.vault, { environmentId: state.id, owner: ownerOf(deps, environment.metadata), keys });
  const stored = await deps.rows.environment(withFinalizer(environment));
  if (!stored) throw new KeysteadError("row_changed", `environment ${state.id} was deleted meanwhile`);
  return { ...state, ...stored };
}

/** Two keys in one Secret would take it from each other for ever: it is the Environment's own that is in it. */
export function refuseSharedSecret(environment: Environment, keyName: string): Outcome | undefined {
  const own = secretNameOf(environment);
  const index = (environment.spec.apiKeys ?? []).findIndex(
    ({ name, secretName }) => name === keyName && secretName === own,
  );
  if (index === -1) return undefined;
  return stalled(
    "InvalidSpec",
    `spec.apiKeys[${index}].secretName must be another than that of the Environment itself, ${own}.`,
  );
}

function desiredApiKeys(environment: Environment): DesiredApiKeyWithToken[] {
  return (environment.spec.apiKeys ?? []).map(({ name, scopes, connectionSelector, expiresAfter }) => ({
    name,
    scopes: scopesOf(scopes),
    connectionSelector,
    expiresAfterSeconds: expiresAfter === undefined ? undefined : Math.floor(parseDuration(expiresAfter) / 1_000),
    rotationToken: rotationTokenOf(environment, name),
  }));
}
