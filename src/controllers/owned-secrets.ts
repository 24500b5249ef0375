import { hasCode } from "../errors.ts";
import type { KubeClient } from "../kube/client.ts";
import type { KubeObject, KubeSecret } from "../kube/object.ts";
import { resourcePath, SECRET } from "../kube/resource-path.ts";
import type { ResourceMetadata } from "../resources/parse.ts";
import type { CallOptions } from "./deps.ts";
import type { Outcome } from "./outcome.ts";
import { type DesiredSecret, judgeSecret } from "./secret-verdict.ts";
import type { SecretVersion } from "./secrets.ts";

/** Label on every Secret that is written for an Environment, with its uid: by it they are found when it is deleted. */
export const OWNER_LABEL = "keystead.dev/environment-uid";

/**
 * Makes the Secret hold what it should. Answers the version that is known to be right, or the outcome that says why the
 * Secret was left alone. The patch names the version it was decided on, so a foreign write in between ends in
 * `kube_conflict` and the next pass decides anew.
 */
export async function writeSecret(
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

/** Deletes the Secrets that were written for an Environment, but for those that are needed; their names. Absent ones are no error. */
export async function deleteSecretsOf(
  client: KubeClient,
  environment: Pick<ResourceMetadata, "namespace" | "uid">,
  isNeeded: (name: string) => Promise<boolean>,
  calls: CallOptions,
): Promise<string[]> {
  const { namespace, uid } = environment;
  const found = await client.request<{ readonly items?: readonly KubeObject[] }>({
    method: "GET",
    path: resourcePath(SECRET, { namespace }),
    query: { labelSelector: `${OWNER_LABEL}=${uid}` },
    accept: "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1",
    ...calls,
  });
  const deleted: string[] = [];
  // Unlike others, a list of metadata that is empty has no items at all.
  for (const { metadata } of found.items ?? []) {
    const owned = metadata.ownerReferences?.some((owner) => owner.controller === true && owner.uid === uid);
    if (!owned || (await isNeeded(metadata.name))) continue;
    await deleteSecret(client, namespace, metadata, calls);
    deleted.push(metadata.name);
  }
  return deleted;
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

/** The Secret as it is now, if it is there. */
export async function findSecret(
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
