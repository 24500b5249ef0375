import { Secret } from "../crypto/secret.ts";
import { tokenDigest, tokenFingerprint, tokenKindOf } from "../crypto/token.ts";
import { type KubeSecret, objectKey } from "../kube/object.ts";
import { apiVersionOf } from "../kube/resource-path.ts";
import { type Environment, secretNameOf } from "../resources/environment.ts";
import { ENVIRONMENT } from "../resources/kinds.ts";
import type { Vault } from "../vault/context.ts";
import { MAIN_SECRET_KEY } from "../vault/describe-environments.ts";
import type { EnvironmentState, StoredEnvironment } from "../vault/environment.ts";
import { type EnvironmentSecretKeys, readSecretKeys } from "../vault/read-environment-secret-key.ts";
import { refuseSharedSecret } from "./api-keys.ts";
import type { CallOptions, ControllerDeps, WrittenSecret } from "./deps.ts";
import { recordEvent } from "./notice.ts";
import type { Outcome } from "./outcome.ts";
import { deleteSecretsOf, findSecret, OWNER_LABEL, writeSecret } from "./owned-secrets.ts";
import { noticeOfExpiry } from "./rotation.ts";
import { readyOf } from "./status.ts";

type State = EnvironmentState | StoredEnvironment;

/** A Secret that an Environment has to have. */
interface WantedSecret {
  readonly name: string;
  /** Name of the key that it hands out. */
  readonly keyName: string;
  /** Fingerprints of the keys in it: what was written with others is not right any more, whatever its version. */
  readonly holds: string;
  /** All that is in it. What it holds already spares a query, for each Environment at a restart. */
  readonly data: (existing: KubeSecret | undefined) => Promise<Readonly<Record<string, string>>>;
}

/** How one of them was found. */
type Kept = "known" | "right" | "made";

/** What became of them. */
interface KeptSecrets {
  /** Names of the keys whose Secrets do not hold them. */
  readonly withheld: ReadonlySet<string>;
  /** The outcome of the first that must be left alone. */
  readonly refused: Outcome | undefined;
}

/**
 * Keeps the Secrets of an Environment as the database says, that of its own key first; one that must be left alone keeps none
 * of the others. While the watch shows the versions that were written last, nothing is read. Secrets that nobody wants any more
 * go after all others were written.
 */
export async function keepSecrets(
  deps: ControllerDeps,
  environment: Environment,
  { state, isNew }: { readonly state: State; readonly isNew: boolean },
  calls: CallOptions,
): Promise<KeptSecrets> {
  const { metadata } = environment;
  const wanted = wantedSecrets(deps, environment, state);
  const names = new Set(wanted.map(({ name }) => name));
  const kept: Kept[] = [];
  const withheld = new Set<string>();
  let refused: Outcome | undefined;
  for (const one of wanted) {
    const result = refuseSharedSecret(environment, one.keyName) ?? (await keepSecret(deps, environment, one, calls));
    if (typeof result === "string") {
      kept.push(result);
      continue;
    }
    withheld.add(one.keyName);
    refused ??= result;
  }
  const { clearedSecrets } = deps;
  // One that was stored in this pass had no former names.
  if (isNew) clearedSecrets.add(metadata.uid);
  else if (mayHaveLeft(deps, environment) || kept.includes("made") || hasStray(deps, environment, state, names)) {
    const needs = { namespace: metadata.namespace, wanted: names, withheldKeys: fingerprintsOf(state, withheld) };
    const deleted = await deleteSecretsOf(deps.client, metadata, (name) => isNeeded(deps, name, needs, calls), calls);
    tellOfExpired(deps, environment, state, deleted);
    if (withheld.size === 0) clearedSecrets.add(metadata.uid);
    const written = writtenFor(deps, metadata.uid);
    for (const name of written.keys()) if (!names.has(name)) written.delete(name);
  }
  return { withheld, refused };
}

/** Which Secrets in a namespace are needed. */
interface Needs {
  readonly namespace: string;
  readonly wanted: ReadonlySet<string>;
  readonly withheldKeys: ReadonlySet<string>;
}

/** Of all keys of these names that are stored, those in their grace period too. */
function fingerprintsOf(
  { secretKeyFingerprint, replacedKeys, apiKeys }: State,
  names: ReadonlySet<string>,
): Set<string> {
  const keys = [{ name: MAIN_SECRET_KEY, fingerprint: secretKeyFingerprint }, ...replacedKeys, ...apiKeys];
  return new Set(keys.flatMap(({ name, fingerprint }) => (fingerprint && names.has(name) ? [fingerprint] : [])));
}

/** Whether a Secret is wanted, or is a former one of a key whose new Secret must be left alone. */
async function isNeeded(
  { client }: ControllerDeps,
  name: string,
  { namespace, wanted, withheldKeys }: Needs,
  calls: CallOptions,
): Promise<boolean> {
  if (wanted.has(name)) return true;
  if (withheldKeys.size === 0) return false;
  const held = await findSecret(client, namespace, name, calls);
  return [...withheldKeys].some((fingerprint) => keyIn(held, "KEYSTEAD_SECRET_KEY", fingerprint) !== undefined);
}

/**
 * Whether a former process may have left a Secret under a former name: it settled the spec after it had looked for them, and
 * this process knows what it wrote itself.
 */
function mayHaveLeft({ clearedSecrets }: ControllerDeps, { metadata, status }: Environment): boolean {
  if (clearedSecrets.has(metadata.uid)) return false;
  const isSettled =
    status.observedGeneration === metadata.generation &&
    status.conditions?.length === 1 &&
    readyOf(status)?.reason === "Succeeded";
  return !isSettled;
}

/** Whether this process wrote a Secret that is not wanted any more, or one of a key that has expired is still there. */
function hasStray(deps: ControllerDeps, environment: Environment, state: State, names: ReadonlySet<string>): boolean {
  const { namespace, uid } = environment.metadata;
  const isShown = (name: string): boolean => deps.secrets.version(objectKey(namespace, name)) !== undefined;
  const ended = (environment.spec.apiKeys ?? []).filter(({ name }) => !fingerprintOf(state, name));
  return (
    [...writtenFor(deps, uid).keys()].some((name) => !names.has(name)) ||
    ended.some(({ secretName }) => !names.has(secretName) && isShown(secretName))
  );
}

/** Told with the Secret and not with the key: whatever process erased that one, this is what its owner notices. */
function tellOfExpired(
  { events }: ControllerDeps,
  environment: Environment,
  state: State,
  deletedSecrets: readonly string[],
): void {
  for (const { name, secretName } of environment.spec.apiKeys ?? []) {
    if (fingerprintOf(state, name) === undefined && deletedSecrets.includes(secretName))
      recordEvent(events, ENVIRONMENT, environment, noticeOfExpiry(name));
  }
}

function wantedSecrets(deps: ControllerDeps, environment: Environment, state: State): WantedSecret[] {
  const { uid } = environment.metadata;
  const previous = state.replacedKeys.find(({ name }) => name === MAIN_SECRET_KEY)?.fingerprint;
  const main: WantedSecret = {
    name: secretNameOf(environment),
    keyName: MAIN_SECRET_KEY,
    holds: [state.secretKeyFingerprint, previous].join(" "),
    async data(existing) {
      const keys =
        keysIn(existing, state.secretKeyFingerprint, previous) ?? (await mainKeys(deps.vault, state, previous, uid));
      return {
        KEYSTEAD_SECRET_KEY: keys.current.reveal(),
        ...(keys.previous && { KEYSTEAD_PREVIOUS_SECRET_KEY: keys.previous.reveal() }),
        KEYSTEAD_PUBLIC_KEY: state.publicKey,
        KEYSTEAD_HOST: deps.serviceUrl,
      };
    },
  };
  const named = (environment.spec.apiKeys ?? []).flatMap(({ name, secretName }): WantedSecret[] => {
    const fingerprint = fingerprintOf(state, name);
    if (fingerprint === undefined) return [];
    return [
      {
        name: secretName,
        keyName: name,
        holds: fingerprint,
        async data(existing) {
          const keys =
            keysIn(existing, fingerprint, undefined) ?? (await readSecretKeys(deps.vault, state.id, name, uid));
          return { KEYSTEAD_SECRET_KEY: keys.current.reveal(), KEYSTEAD_HOST: deps.serviceUrl };
        },
      },
    ];
  });
  return [main, ...named];
}

function fingerprintOf(state: State, keyName: string): string | undefined {
  return state.apiKeys.find(({ name }) => name === keyName)?.fingerprint;
}

async function keepSecret(
  deps: ControllerDeps,
  { metadata }: Environment,
  { name, holds, data }: WantedSecret,
  calls: CallOptions,
): Promise<Kept | Outcome> {
  const { namespace, uid } = metadata;
  const written = writtenFor(deps, uid);
  const last = written.get(name);
  const shown = deps.secrets.version(objectKey(namespace, name));
  const isKnown = last && last.uid === shown?.uid && last.resourceVersion === shown.resourceVersion;
  if (isKnown && last.holds === holds) return "known";

  const existing = await findSecret(deps.client, namespace, name, calls);
  const owner = {
    apiVersion: apiVersionOf(ENVIRONMENT),
    kind: ENVIRONMENT.kind,
    name: metadata.name,
    uid,
    controller: true,
    blockOwnerDeletion: false,
  };
  const labels = { "app.kubernetes.io/managed-by": "keystead", [OWNER_LABEL]: uid };
  const desired = { namespace, name, owner, labels, data: await data(existing) };
  const result = await writeSecret(deps.client, desired, existing, calls);
  if ("kind" in result) return result;
  written.set(name, { ...result, holds });
  return existing ? "right" : "made";
}

function writtenFor({ writtenSecrets }: ControllerDeps, uid: string): Map<string, WrittenSecret> {
  const known = writtenSecrets.get(uid);
  if (known) return known;
  const written = new Map<string, WrittenSecret>();
  writtenSecrets.set(uid, written);
  return written;
}

/**
 * The keys as the Secret holds them, where their fingerprints are those of the database. Should somebody forge 48 bits of a
 * digest, all that he has is a Secret with a key that opens nothing.
 */
function keysIn(
  existing: KubeSecret | undefined,
  fingerprint: string,
  previousFingerprint: string | undefined,
): EnvironmentSecretKeys | undefined {
  const current = keyIn(existing, "KEYSTEAD_SECRET_KEY", fingerprint);
  const previous = keyIn(existing, "KEYSTEAD_PREVIOUS_SECRET_KEY", previousFingerprint);
  return current && (previous || previousFingerprint === undefined) ? { current, previous } : undefined;
}

function keyIn(existing: KubeSecret | undefined, member: string, fingerprint: string | undefined): Secret | undefined {
  const held = Buffer.from(existing?.data?.[member] ?? "", "base64").toString();
  const isRight = tokenKindOf(held) === "secret-key" && tokenFingerprint(tokenDigest(held)) === fingerprint;
  return isRight ? new Secret(held) : undefined;
}

/** The environment's own keys from the database, or the one that was just read or made. */
async function mainKeys(
  vault: Vault,
  state: State,
  previous: string | undefined,
  uid: string,
): Promise<EnvironmentSecretKeys> {
  if ("secretKey" in state && previous === undefined) return { current: state.secretKey, previous: undefined };
  return readSecretKeys(vault, state.id, MAIN_SECRET_KEY, uid);
}
