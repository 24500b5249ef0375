import { Secret } from "../crypto/secret.ts";
import { tokenDigest, tokenKindOf } from "../crypto/token.ts";
import { hasCode } from "../errors.ts";
import { objectKey } from "../kube/object.ts";
import type { Environment } from "../resources/environment.ts";
import { ENVIRONMENT } from "../resources/kinds.ts";
import { adoptEnvironment } from "../vault/adopt-environment.ts";
import type { EnvironmentState } from "../vault/environment.ts";
import { findSuperseded } from "../vault/superseded-owners.ts";
import { findWithKeys } from "./api-keys.ts";
import { claim } from "./claim.ts";
import { type CallOptions, type ControllerDeps, ownerOf } from "./deps.ts";
import { gone, type Outcome, stalled } from "./outcome.ts";
import { withFinalizer } from "./revive.ts";
import { rotationTokensOf } from "./rotation.ts";
import { readSources } from "./sources.ts";

/** An Environment, and what is stored for it after it took over what it is to take over. */
export interface Settled {
  readonly kind: "own";
  readonly resource: Environment;
  readonly state: EnvironmentState | undefined;
}

/**
 * Takes over the environment that `spec.adopt` names, or says that this resource's own was taken over. Done once: a resource
 * that has the environment asks for nothing any more, and one that lost it never takes it back by itself, or two clusters
 * with the same manifest would take it from one another for ever.
 */
export async function takeOver(
  deps: ControllerDeps,
  environment: Environment,
  state: EnvironmentState | undefined,
  calls: CallOptions,
): Promise<Settled | Outcome> {
  const { adopt } = environment.spec;
  if (state && (!adopt || state.id === adopt.environmentId)) return { kind: "own", resource: environment, state };
  const superseded = state ? undefined : await refuseSuperseded(deps, environment);
  if (superseded) return superseded;
  if (!adopt) return { kind: "own", resource: environment, state };

  const key = await proofOf(deps, environment, adopt.secretKeyRef, calls);
  if (!(key instanceof Secret)) return key;
  if (!(await claim(deps.client, ENVIRONMENT, environment, calls))) return gone();
  await adoptEnvironment(deps.vault, {
    environmentId: adopt.environmentId,
    secretKeyDigest: tokenDigest(key.reveal()),
    owner: ownerOf(deps, environment.metadata),
    ...rotationTokensOf(environment),
  });
  const resource = withFinalizer(environment);
  return { kind: "own", resource, state: await findWithKeys(deps, resource) };
}

/** A pass, and what to say where it found in the middle that the environment is not this resource's any more. */
export async function unlessSuperseded(
  deps: ControllerDeps,
  environment: Environment,
  pass: () => Promise<Outcome>,
): Promise<Outcome> {
  try {
    return await pass();
  } catch (thrown) {
    const superseded = hasCode(thrown, "environment_superseded") && (await refuseSuperseded(deps, environment));
    if (!superseded) throw thrown;
    return superseded;
  }
}

/** What refers to it is told as well: it has no environment any more to be stored in. */
async function refuseSuperseded(deps: ControllerDeps, { metadata }: Environment): Promise<Outcome | undefined> {
  const by = await findSuperseded(deps.vault, metadata.uid);
  if (!by) return undefined;
  if (deps.rows.forget(metadata.uid)) deps.wakeDependents("Environment", objectKey(metadata.namespace, metadata.name));
  return stalled(
    "Superseded",
    `Environment ${by.by_namespace}/${by.by_name} of the cluster ${by.by_cluster} has taken ${by.environment_id} over, with all that is in it. Delete this resource, which touches nothing of it; to take it back, make it anew with spec.adopt.`,
  );
}

/** The secret key that proves the right to take it over, or why there is none. */
async function proofOf(
  deps: ControllerDeps,
  environment: Environment,
  ref: { readonly name: string; readonly key: string },
  calls: CallOptions,
): Promise<Secret | Outcome> {
  const read = await readSources(deps.secrets, environment.metadata.namespace, new Map([[ref.name, [ref.key]]]), calls);
  if (read.kind !== "read") return read;
  // A file that it was made from ends with a line break more often than not.
  const value = read.take.value(ref).trim();
  if (read.take.problem) return read.take.problem;
  if (tokenKindOf(value) === "secret-key") return new Secret(value);
  return stalled(
    "InvalidSecretValue",
    `The key ${ref.key} of Secret ${ref.name} holds no secret key of an environment. Put the whole value of KEYSTEAD_SECRET_KEY there.`,
  );
}
