import type { KubeClient } from "../kube/client.ts";
import { addFinalizer } from "../kube/finalizer.ts";
import type { ResourceKind } from "../kube/resource-path.ts";
import type { Resource } from "../resources/parse.ts";
import type { CallOptions } from "./deps.ts";
import { FINALIZER } from "./metadata-names.ts";

/**
 * Sets our finalizer, which has to stand before anything is stored for a resource. False when the resource was deleted
 * meanwhile: a row that is made now would never be released.
 */
export async function claim(
  client: KubeClient,
  kind: ResourceKind,
  resource: Pick<Resource<string, unknown, unknown>, "metadata">,
  calls: CallOptions,
): Promise<boolean> {
  if (resource.metadata.finalizers.includes(FINALIZER)) return true;
  return (await addFinalizer(client, kind, resource, FINALIZER, calls)) !== "gone";
}
