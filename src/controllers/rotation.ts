import { ENVIRONMENT } from "../resources/kinds.ts";
import type { Environment } from "../resources/environment.ts";
import { graceSecondsOf } from "../resources/rotation.ts";
import { tokenOf } from "../resources/token.ts";
import type { EnvironmentState } from "../vault/environment.ts";
import { beginGrace, endReplacedKey } from "../vault/grace-period.ts";
import { rotateSecretKey, type SecretKeyRotation } from "../vault/rotate-secret-key.ts";
import { type ControllerDeps, ownerOf } from "./deps.ts";
import { ROTATE_SECRET_KEY } from "./metadata-names.ts";
import { type Notice, recordEvent } from "./notice.ts";
import { type Outcome, stalled } from "./outcome.ts";

/** The token that asks for a new secret key, if it is one. */
export function rotationTokenOf({ metadata }: Pick<Environment, "metadata">): string | undefined {
  const asked = tokenOf(metadata.annotations, ROTATE_SECRET_KEY);
  return asked.kind === "token" ? asked.token : undefined;
}

/** The outcome for an annotation that asks for a rotation with something that is no token. */
export function refuseToken({ metadata }: Pick<Environment, "metadata">): Outcome | undefined {
  const asked = tokenOf(metadata.annotations, ROTATE_SECRET_KEY);
  return asked.kind === "refused" ? stalled("InvalidToken", asked.message) : undefined;
}

/** Why the key has to be rotated now, if it has to. A token that is new takes the place of a rotation that is due. Pure. */
export function rotationCause(
  state: EnvironmentState,
  token: string | undefined,
): SecretKeyRotation["cause"] | undefined {
  if (token !== undefined && token !== state.lastHandledRotation) return { kind: "token", token };
  return state.nextRotation && state.nextRotation.inMs <= 0 ? { kind: "schedule" } : undefined;
}

/**
 * Rotates the secret key of an Environment where that is asked for or due, and removes a replaced one whose end has come.
 * Answers what is stored afterwards; who comes back after a crash finds out from it what is left to do.
 */
export async function keepKeysCurrent(
  deps: ControllerDeps,
  environment: Environment,
  state: EnvironmentState | undefined,
): Promise<EnvironmentState | undefined> {
  if (!state) return state;
  const cause = rotationCause(state, rotationTokenOf(environment));
  if (cause) {
    const graceSeconds = graceSecondsOf(environment.spec.rotation);
    const owner = ownerOf(deps, environment.metadata);
    const rotated = await rotateSecretKey(deps.vault, { environmentId: state.id, owner, cause, graceSeconds });
    if (rotated) recordEvent(deps.events, ENVIRONMENT, environment, noticeOfRotation(graceSeconds));
    return deps.rows.environment(environment);
  }
  if (!state.previousKey || state.previousKey.end.inMs > 0) return state;
  await endReplacedKey(deps.vault, replacedKeyOf(deps, environment, state, state.previousKey.fingerprint));
  return { ...state, previousKey: undefined };
}

/** To be called once the Secret holds the current key: the grace period of the one before counts from here. */
export async function startGrace<State extends EnvironmentState>(
  deps: ControllerDeps,
  environment: Environment,
  state: State,
): Promise<State> {
  const { previousKey } = state;
  if (!previousKey?.isPending) return state;
  const end = await beginGrace(deps.vault, replacedKeyOf(deps, environment, state, previousKey.fingerprint));
  return { ...state, previousKey: { ...previousKey, isPending: false, end: end ?? previousKey.end } };
}

/** Milliseconds after which something of the keys is due by itself. Pure. */
export function dueInMs({ nextRotation, previousKey }: EnvironmentState): number | undefined {
  const all = [nextRotation, previousKey?.end].filter((deadline) => deadline !== undefined);
  return all.length === 0 ? undefined : Math.max(0, Math.min(...all.map(({ inMs }) => inMs)));
}

function replacedKeyOf(deps: ControllerDeps, { metadata }: Environment, { id }: EnvironmentState, fingerprint: string) {
  return { environmentId: id, fingerprint, owner: ownerOf(deps, metadata) };
}

function noticeOfRotation(graceSeconds: number): Notice {
  if (graceSeconds === 0) {
    return {
      type: "Warning",
      reason: "SecretKeyRotated",
      note: "The secret key was rotated without a grace period: the old one opens nothing any more. Pods that read the Secret by envFrom keep the dead key until they are restarted.",
    };
  }
  return {
    type: "Normal",
    reason: "SecretKeyRotated",
    note: "The secret key was rotated. The old one works until status.secretKey.previousExpiresAt: restart by then the pods that read the Secret by envFrom.",
  };
}
