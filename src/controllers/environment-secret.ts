import { Secret } from "../crypto/secret.ts";
import { tokenDigest, tokenFingerprint, tokenKindOf } from "../crypto/token.ts";
import { hasCode } from "../errors.ts";
import type { KubeClient } from "../kube/client.ts";
import { type KubeObject, type KubeSecret, objectKey } from "../kube/object.ts";
import { apiVersionOf, resourcePath, SECRET } from "../kube/resource-path.ts";
import { type Environment, secretNameOf } from "../resources/environment.ts";
import type { ResourceMetadata } from "../resources/parse.ts";
import type { Vault } from "../vault/context.ts";
import type { EnvironmentState, StoredEnvironment } from "../vault/environment.ts";
import { type EnvironmentSecretKeys, readEnvironmentSecretKeys } from "../vault/read-environment-secret-key.ts";
import type { CallOptions, ControllerDeps } from "./deps.ts";
import { ENVIRONMENT } from "../resources/kinds.ts";
import type { Outcome } from "./outcome.ts";
import { type DesiredSecret, judgeSecret } from "./secret-verdict.ts";
import type { SecretVersion } from "./secrets.ts";

/** Label on every Secret that is written for an Environment, with its uid: by it they are found when it is deleted. */
const OWNER_LABEL = "keystead.dev/environment-uid";

/**
 * Makes the Secret hold what it should. Answers the version that is known to be right, or the outcome that says why the
 * Secret was left alone. The patch names the version it was decided on, so a foreign write in between ends in
 * `kube_conflict` and the next pass decides anew.
 */
async function writeSecret(
  client: KubeClient,
  desired: DesiredSecret,
  existing: KubeSecret | undefined,
  calls: CallOptions,
): Promise<SecretVersion | Outcome> {
  const { namespace, name } = desired;
  const verdict = judgeSecret(existing, desired);
  switch (verdict.kind) {
    case "refused":
      return verdict.outcome;
    case "equal":
      return versionOf(existing);
    case "create":
      return versionOf(
        await client.request<KubeSecret>({
          method: "POST",
          path: resourcePath(SECRET, { namespace }),
          body: manifest(desired),
          ...calls,
        }),
      );
    case "patch":
      return versionOf(
        await client.request<KubeSecret>({
          method: "PATCH",
          path: resourcePath(SECRET, { namespace, name }),
          contentType: "application/merge-patch+json",
          body: {
            metadata: { resourceVersion: existing?.metadata.resourceVersion, labels: verdict.patch.labels },
            data: verdict.patch.data,
          },
          ...calls,
        }),
      );
  }
}

function versionOf(secret: KubeSecret | undefined): SecretVersion {
  return { uid: secret?.metadata.uid ?? "", resourceVersion: secret?.metadata.resourceVersion ?? "" };
}

function manifest(desired: DesiredSecret): unknown {
  return {
    apiVersion: "v1",
    kind: "Secret",
    metadata: {
      name: desired.name,
      namespace: desired.namespace,
      ownerReferences: [desired.owner],
      labels: desired.labels,
    },
    type: "Opaque",
    stringData: desired.data,
  };
}

/**
 * Keeps the Secret of an Environment as the database says; the outcome where it must be left alone. While the watch shows
 * the version that was written last, nothing is read. A Secret under a former `spec.secretName` goes after the new one stands.
 */
export async function keepSecret(
  deps: ControllerDeps,
  environment: Environment,
  state: EnvironmentState | StoredEnvironment,
  calls: CallOptions,
): Promise<Outcome | undefined> {
  const { metadata, status } = environment;
  const { namespace, uid } = metadata;
  const name = secretNameOf(environment);
  const written = deps.writtenSecrets.get(uid);
  const shown = deps.secrets.version(objectKey(namespace, name));
  const holds = fingerprintsIn(state);
  const isKnown = written && written.uid === shown?.uid && written.resourceVersion === shown.resourceVersion;
  if (isKnown && written.holds === holds) return undefined;

  const existing = await findSecret(deps.client, namespace, name, calls);
  const keys = keysIn(existing, state) ?? (await keysOf(deps.vault, state));
  const result = await writeSecret(
    deps.client,
    {
      namespace,
      name,
      owner: {
        apiVersion: apiVersionOf(ENVIRONMENT),
        kind: ENVIRONMENT.kind,
        name: metadata.name,
        uid,
        controller: true,
        blockOwnerDeletion: false,
      },
      labels: { "app.kubernetes.io/managed-by": "keystead", [OWNER_LABEL]: uid },
      data: {
        KEYSTEAD_SECRET_KEY: keys.current.reveal(),
        ...(keys.previous && { KEYSTEAD_PREVIOUS_SECRET_KEY: keys.previous.reveal() }),
        KEYSTEAD_PUBLIC_KEY: state.publicKey,
        KEYSTEAD_HOST: deps.serviceUrl,
      },
    },
    existing,
    calls,
  );
  if ("kind" in result) return result;
  // Whoever made or moved the Secret may have left one under a former name: an edit is told by its generation, and a
  // move that had to wait by there having been none. A new Environment had no former name.
  const moved = existing === undefined || status.observedGeneration !== metadata.generation;
  if (moved && status.observedGeneration !== -1) await deleteSecretsOf(deps.client, metadata, name, calls);
  deps.writtenSecrets.set(uid, { ...result, holds });
  return undefined;
}

/** Which keys the Secret has to hold: what was written with others is not right any more, whatever its version. */
function fingerprintsIn({ secretKeyFingerprint, previousKey }: EnvironmentState): string {
  return [secretKeyFingerprint, previousKey?.fingerprint].join(" ");
}

/**
 * The keys as the Secret holds them, where their fingerprints are those of the database. This spares a query for each
 * Environment at a restart. Should somebody forge 48 bits of a digest, all that he has is a Secret with a key that opens
 * nothing.
 */
function keysIn(existing: KubeSecret | undefined, state: EnvironmentState): EnvironmentSecretKeys | undefined {
  const current = keyIn(existing, "KEYSTEAD_SECRET_KEY", state.secretKeyFingerprint);
  const previous = keyIn(existing, "KEYSTEAD_PREVIOUS_SECRET_KEY", state.previousKey?.fingerprint);
  return current && (previous || !state.previousKey) ? { current, previous } : undefined;
}

function keyIn(existing: KubeSecret | undefined, member: string, fingerprint: string | undefined): Secret | undefined {
  const held = Buffer.from(existing?.data?.[member] ?? "", "base64").toString();
  const isRight = tokenKindOf(held) === "secret-key" && tokenFingerprint(tokenDigest(held)) === fingerprint;
  return isRight ? new Secret(held) : undefined;
}

/** The keys from the database, or the one that was just read or made. */
async function keysOf(vault: Vault, state: EnvironmentState | StoredEnvironment): Promise<EnvironmentSecretKeys> {
  if ("secretKey" in state && !state.previousKey) return { current: state.secretKey, previous: undefined };
  return readEnvironmentSecretKeys(vault, state.id);
}

/** Deletes the Secrets that were written for an Environment, but for the one named `except`. Absent ones are no error. */
export async function deleteSecretsOf(
  client: KubeClient,
  environment: Pick<ResourceMetadata, "namespace" | "uid">,
  except: string | undefined,
  calls: CallOptions,
): Promise<void> {
  const { namespace, uid } = environment;
  const found = await client.request<{ readonly items?: readonly KubeObject[] }>({
    method: "GET",
    path: resourcePath(SECRET, { namespace }),
    query: { labelSelector: `${OWNER_LABEL}=${uid}` },
    accept: "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1",
    ...calls,
  });
  // Unlike others, a list of metadata that is empty has no items at all.
  for (const { metadata } of found.items ?? []) {
    const owned = metadata.ownerReferences?.some((owner) => owner.controller === true && owner.uid === uid);
    if (owned && metadata.name !== except) await deleteSecret(client, namespace, metadata, calls);
  }
}

async function deleteSecret(
  client: KubeClient,
  namespace: string,
  { name, uid }: KubeObject["metadata"],
  calls: CallOptions,
): Promise<void> {
  try {
    await client.request({
      method: "DELETE",
      path: resourcePath(SECRET, { namespace, name }),
      // Another Secret of that name is none of ours.
      body: { preconditions: { uid } },
      discardAnswer: true,
      ...calls,
    });
  } catch (error) {
    if (!hasCode(error, "kube_not_found") && !hasCode(error, "kube_conflict")) throw error;
  }
}

async function findSecret(
  client: KubeClient,
  namespace: string,
  name: string,
  calls: CallOptions,
): Promise<KubeSecret | undefined> {
  try {
    return await client.request<KubeSecret>({
      method: "GET",
      path: resourcePath(SECRET, { namespace, name }),
      ...calls,
    });
  } catch (error) {
    if (hasCode(error, "kube_not_found")) return undefined;
    throw error;
  }
}
