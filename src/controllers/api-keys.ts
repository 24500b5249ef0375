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
import { rotationTokenOf } from "./rotation.ts";

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

/** Two keys in one Secret would take it from each other for ever. The default name is unknown to the rules of the schema. */
export function refuseSharedSecret(environment: Environment): Outcome | undefined {
  const own = secretNameOf(environment);
  const index = (environment.spec.apiKeys ?? []).findIndex(({ secretName }) => secretName === own);
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
