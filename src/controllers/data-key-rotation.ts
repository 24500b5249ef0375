import type { Environment } from "../resources/environment.ts";
import { tokenOf } from "../resources/token.ts";
import type { EnvironmentState } from "../vault/environment.ts";
import { rotateDataKey } from "../vault/rotate-data-key.ts";
import { type ControllerDeps, ownerOf } from "./deps.ts";
import { ROTATE_DATA_KEY } from "./metadata-names.ts";
import { type Outcome, stalled } from "./outcome.ts";

/** The token that asks for a new data key, if it is one. */
export function dataKeyTokenOf({ metadata }: Environment): string | undefined {
  const asked = tokenOf(metadata.annotations, ROTATE_DATA_KEY);
  return asked.kind === "token" ? asked.token : undefined;
}

/** Answers the token that is handled now, having replaced the data key where it is a new one; or why it cannot be read. */
export async function replaceDataKey(
  deps: ControllerDeps,
  environment: Environment,
  { id: environmentId, lastHandledDataKeyRotation }: EnvironmentState,
): Promise<{ readonly handled: string | undefined } | Outcome> {
  const asked = tokenOf(environment.metadata.annotations, ROTATE_DATA_KEY);
  if (asked.kind === "refused") return stalled("InvalidToken", asked.message);
  if (asked.kind === "none" || asked.token === lastHandledDataKeyRotation)
    return { handled: lastHandledDataKeyRotation };
  const actor = { kind: "resource", owner: ownerOf(deps, environment.metadata) } as const;
  await rotateDataKey(deps.vault, { environmentId, token: asked.token, actor });
  return { handled: asked.token };
}
