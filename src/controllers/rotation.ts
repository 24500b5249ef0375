import { ENVIRONMENT } from "../resources/kinds.ts";
import type { Environment } from "../resources/environment.ts";
import { graceSecondsOf } from "../resources/rotation.ts";
import { type Token, tokenOf } from "../resources/token.ts";
import { MAIN_SECRET_KEY } from "../vault/describe-environments.ts";
import type { EnvironmentState } from "../vault/environment.ts";
import { beginGrace, endSecretKey } from "../vault/grace-period.ts";
import type { RotationTokens } from "../vault/handle-tokens.ts";
import type { Deadline } from "../vault/rotation-schedule.ts";
import { rotateSecretKey, type SecretKeyRotation } from "../vault/rotate-secret-key.ts";
import { type ControllerDeps, ownerOf } from "./deps.ts";
import { ROTATE_SECRET_KEY } from "./metadata-names.ts";
import { type Notice, recordEvent } from "./notice.ts";
import { type Outcome, stalled } from "./outcome.ts";
import type { ResourceStatus } from "./status.ts";

type Annotated = Pick<Environment, "metadata">;

/** The token that asks for a new key, if it is one: of the environment itself, or of a named key. */
export function rotationTokenOf(environment: Annotated, keyName = MAIN_SECRET_KEY): string | undefined {
  const asked = askedOf(environment, keyName);
  return asked.kind === "token" ? asked.token : undefined;
}

/** All tokens that an Environment carries, for what makes them count as handled. */
export function rotationTokensOf(environment: Annotated & Pick<Environment, "spec">): RotationTokens {
  const named = (environment.spec.apiKeys ?? []).flatMap(({ name }) => {
    const token = rotationTokenOf(environment, name);
    return token === undefined ? [] : [[name, token] as const];
  });
  return { rotationToken: rotationTokenOf(environment), apiKeyTokens: Object.fromEntries(named) };
}

function askedOf({ metadata }: Annotated, keyName: string): Token {
  const annotation = keyName === MAIN_SECRET_KEY ? ROTATE_SECRET_KEY : `${ROTATE_SECRET_KEY}.${keyName}`;
  return tokenOf(metadata.annotations, annotation);
}

/** The outcome for an annotation that asks for a rotation with something that is no token. */
export function refuseToken(environment: Annotated & Pick<Environment, "spec">): Outcome | undefined {
  const names = [MAIN_SECRET_KEY, ...(environment.spec.apiKeys ?? []).map(({ name }) => name)];
  for (const name of names) {
    const asked = askedOf(environment, name);
    if (asked.kind === "refused") return stalled("InvalidToken", asked.message);
  }
  return undefined;
}

/** Why the key has to be rotated now, if it has to. A token that is new takes the place of a rotation that is due. Pure. */
export function rotationCause(
  state: Pick<EnvironmentState, "lastHandledRotation" | "nextRotation">,
  token: string | undefined,
): SecretKeyRotation["cause"] | undefined {
  if (token !== undefined && token !== state.lastHandledRotation) return { kind: "token", token };
  return state.nextRotation && state.nextRotation.inMs <= 0 ? { kind: "schedule" } : undefined;
}

/**
 * Rotates the keys of an Environment where that is asked for or due, and removes those whose end has come. Answers what is
 * stored afterwards; who comes back after a crash finds out from it what is left to do.
 */
export async function keepKeysCurrent(
  deps: ControllerDeps,
  environment: Environment,
  state: EnvironmentState | undefined,
): Promise<EnvironmentState | undefined> {
  if (!state) return state;
  let changes = 0;
  for (const { name, cause } of dueRotations(environment, state)) {
    const graceSeconds = graceSecondsOf(environment.spec.rotation);
    const owner = ownerOf(deps, environment.metadata);
    const rotated = await rotateSecretKey(deps.vault, { environmentId: state.id, name, owner, cause, graceSeconds });
    // That of the environment's own key is told with the status, which shows it.
    if (rotated && name !== MAIN_SECRET_KEY)
      recordEvent(deps.events, ENVIRONMENT, environment, noticeOfRotation(name, graceSeconds > 0));
    changes += 1;
  }
  for (const { name, fingerprint } of endedKeys(state)) {
    await endSecretKey(deps.vault, endingKey(deps, environment, state, name, fingerprint));
    changes += 1;
  }
  return changes === 0 ? state : deps.rows.environment(environment);
}

/** Named keys that are not stored yet are not here: what they carry when they are made counts as handled. */
function dueRotations(environment: Environment, state: EnvironmentState) {
  const declared = new Set(environment.spec.apiKeys?.map(({ name }) => name));
  const named = state.apiKeys
    .filter(({ name }) => declared.has(name))
    .map(({ name, lastHandledRotation }) => ({ name, lastHandledRotation, nextRotation: undefined }));
  return [{ ...state, name: MAIN_SECRET_KEY }, ...named].flatMap((key) => {
    const cause = rotationCause(key, rotationTokenOf(environment, key.name));
    return cause ? [{ name: key.name, cause }] : [];
  });
}

/** Keys whose end has come: those that were replaced, and named ones that have expired. */
function endedKeys({ replacedKeys, apiKeys }: EnvironmentState) {
  const named = apiKeys.flatMap(({ name, fingerprint, end }) =>
    fingerprint !== undefined && end ? [{ name, fingerprint, end }] : [],
  );
  return [...replacedKeys, ...named].filter(({ end }) => end.inMs <= 0);
}

/**
 * To be called once the Secrets hold the current keys, but for those of the names that are withheld: the grace periods of the keys
 * before count from here.
 */
export async function startGrace<State extends EnvironmentState>(
  deps: ControllerDeps,
  environment: Environment,
  state: State,
  withheld: ReadonlySet<string>,
): Promise<State> {
  const begins = (key: State["replacedKeys"][number]): boolean => key.isPending && !withheld.has(key.name);
  if (!state.replacedKeys.some(begins)) return state;
  const begun = state.replacedKeys.map(async (key) => {
    if (!begins(key)) return key;
    const end = await beginGrace(deps.vault, endingKey(deps, environment, state, key.name, key.fingerprint));
    return { ...key, isPending: false, end: end ?? key.end };
  });
  return { ...state, replacedKeys: await Promise.all(begun) };
}

/** Milliseconds after which something of the keys is due by itself. Pure. */
export function dueInMs({ nextRotation, replacedKeys, apiKeys }: EnvironmentState): number | undefined {
  const ends = [...replacedKeys, ...apiKeys].map(({ end }) => end);
  const all = [nextRotation, ...ends].filter((deadline): deadline is Deadline => deadline !== undefined);
  return all.length === 0 ? undefined : Math.max(0, Math.min(...all.map(({ inMs }) => inMs)));
}

function endingKey(
  deps: ControllerDeps,
  { metadata }: Environment,
  { id }: EnvironmentState,
  name: string,
  fingerprint: string,
) {
  return { environmentId: id, name, fingerprint, owner: ownerOf(deps, metadata) };
}

/** What the status of an Environment says of its own key. */
interface KeyStatus extends ResourceStatus {
  readonly secretKey?: { readonly fingerprint: string; readonly previousExpiresAt?: string };
}

/** The event about another key than the status showed before: whoever finds it out tells it, whoever rotated it. Pure. */
export function noticeOfNewKey({ secretKey: before }: KeyStatus, { secretKey: after }: KeyStatus): Notice | undefined {
  if (!before || !after || before.fingerprint === after.fingerprint) return undefined;
  return noticeOfRotation(MAIN_SECRET_KEY, after.previousExpiresAt !== undefined);
}

function noticeOfRotation(name: string, oldOneWorks: boolean): Notice {
  const key = name === MAIN_SECRET_KEY ? "The secret key" : `The secret key ${name}`;
  const until = name === MAIN_SECRET_KEY ? "until status.secretKey.previousExpiresAt" : "for the grace period";
  if (!oldOneWorks) {
    return {
      type: "Warning",
      reason: "SecretKeyRotated",
      note: `${key} was rotated, and the old one opens nothing any more. Pods that read the Secret by envFrom keep the dead key until they are restarted.`,
    };
  }
  return {
    type: "Normal",
    reason: "SecretKeyRotated",
    note: `${key} was rotated. The old one works ${until}: restart by then the pods that read the Secret by envFrom.`,
  };
}

/** The event about a named key that has expired. */
export function noticeOfExpiry(name: string): Notice {
  return {
    type: "Warning",
    reason: "SecretKeyExpired",
    note: `The secret key ${name} has expired and opens nothing any more, and its Secret is deleted. A new value of the annotation ${ROTATE_SECRET_KEY}.${name} makes a new one.`,
  };
}
