import { hasCode } from "../errors.ts";
import type { KubeClient } from "../kube/client.ts";
import type { KubeObject } from "../kube/object.ts";
import { type ResourceKind, resourcePath } from "../kube/resource-path.ts";

/** An object that is looked for, by the identity that it had. */
export interface MissingObject {
  readonly kind: ResourceKind;
  readonly namespace: string;
  readonly name: string;
  readonly uid: string;
}

interface Discovery {
  readonly resources?: readonly { readonly name: string; readonly verbs?: readonly string[] }[];
}

/**
 * Those objects that are gone for certain: a live GET finds none of the name, or another one, while the API server serves
 * the kind and takes new objects of it. What is served tells that the CRD is Established, and that `create` is among its
 * verbs that it is not being deleted, which takes all objects along. A 403 or any other error proves nothing, and neither
 * does a 404 of a kind that is not served.
 */
export async function onlyGone<O extends MissingObject>(
  client: KubeClient,
  objects: readonly O[],
  signal: AbortSignal,
): Promise<O[]> {
  const missing: O[] = [];
  for (const object of objects) if (await isMissing(client, object, signal)) missing.push(object);
  const served = new Map<ResourceKind, boolean>();
  for (const { kind } of missing) if (!served.has(kind)) served.set(kind, await isServed(client, kind, signal));
  return missing.filter(({ kind }) => served.get(kind));
}

/** Names are unique, so another uid under the name proves the end of the first as well as nothing does. */
async function isMissing(client: KubeClient, object: MissingObject, signal: AbortSignal): Promise<boolean> {
  const { kind, namespace, name, uid } = object;
  try {
    const path = resourcePath(kind, { namespace, name });
    const found = await client.request<KubeObject>({ method: "GET", path, signal });
    return found.metadata.uid !== uid;
  } catch (thrown) {
    if (hasCode(thrown, "kube_not_found")) return true;
    if (hasCode(thrown, "kube_forbidden")) return false;
    throw thrown;
  }
}

/** Asked after the objects were missed, so that a CRD that went meanwhile is seen. Every authenticated identity may ask. */
async function isServed(client: KubeClient, kind: ResourceKind, signal: AbortSignal): Promise<boolean> {
  try {
    const path = `/apis/${kind.group}/${kind.version}`;
    const { resources = [] } = await client.request<Discovery>({ method: "GET", path, signal });
    return resources.some(({ name, verbs = [] }) => name === kind.plural && verbs.includes("create"));
  } catch (thrown) {
    if (hasCode(thrown, "kube_not_found") || hasCode(thrown, "kube_forbidden")) return false;
    throw thrown;
  }
}
