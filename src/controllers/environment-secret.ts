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
import type { CallOptions, ControllerDeps, WrittenSecret } from "./deps.ts";
import type { Outcome } from "./outcome.ts";
import { deleteSecretsOf, findSecret, OWNER_LABEL, writeSecret } from "./owned-secrets.ts";

type State = EnvironmentState | StoredEnvironment;

/** A Secret that an Environment has to have. */
interface WantedSecret {
  readonly name: string;
  /** Fingerprints of the keys in it: what was written with others is not right any more, whatever its version. */
  readonly holds: string;
  /** All that is in it. What it holds already spares a query, for each Environment at a restart. */
  readonly data: (existing: KubeSecret | undefined) => Promise<Readonly<Record<string, string>>>;
}

/** How one of them was found. */
type Kept = "known" | "right" | "made";

/**
 * Keeps the Secrets of an Environment as the database says, that of its own key first; the outcome of the first that must be
 * left alone, after the others were written. While the watch shows the versions that were written last, nothing is read.
 * Secrets that nobody wants any more go after all others stand.
 */
export async function keepSecrets(
  deps: ControllerDeps,
  environment: Environment,
  state: State,
  calls: CallOptions,
): Promise<Outcome | undefined> {
  const { metadata, status } = environment;
  const wanted = wantedSecrets(deps, environment, state);
  const names = new Set(wanted.map(({ name }) => name));
  const kept: Kept[] = [];
  let refused: Outcome | undefined;
  for (const one of wanted) {
    const result = await keepSecret(deps, environment, one, calls);
    if (typeof result === "string") kept.push(result);
    else refused ??= result;
  }
  if (refused) return refused;
  // Whoever made or moved a Secret may have left one under a former name: an edit is told by its generation, and a move that
  // had to wait by there having been none. A new Environment had no former name.
  const isEdited = status.observedGeneration !== metadata.generation && kept.some((how) => how !== "known");
  const isNew = status.observedGeneration === -1;
  if (!isNew && (isEdited || kept.includes("made") || hasStray(deps, environment, state, names))) {
    await deleteSecretsOf(deps.client, metadata, names, calls);
    const written = writtenFor(deps, metadata.uid);
    for (const name of written.keys()) if (!names.has(name)) written.delete(name);
  }
  return undefined;
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

function wantedSecrets(deps: ControllerDeps, environment: Environment, state: State): WantedSecret[] {
  const { uid } = environment.metadata;
  const previous = state.replacedKeys.find(({ name }) => name === MAIN_SECRET_KEY)?.fingerprint;
  const main: WantedSecret = {
    name: secretNameOf(environment),
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
