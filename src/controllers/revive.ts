import type { KubeClient } from "../kube/client.ts";
import type { ResourceKind } from "../kube/resource-path.ts";
import type { Resource } from "../resources/parse.ts";
import { claim } from "./claim.ts";
import type { CallOptions } from "./deps.ts";
import { FINALIZER } from "./metadata-names.ts";
import { gone, type Outcome } from "./outcome.ts";

type Revivable = Resource<string, { readonly restoreFrom?: string | undefined }, unknown>;

/** How what is stored for a resource of one kind is found and brought back. */
interface Revival<R extends Revivable, State> {
  readonly kind: ResourceKind;
  /** What is stored for the resource now. */
  find(resource: R): Promise<State | undefined>;
  /** Brings back what `spec.restoreFrom` names, or throws why not. */
  restore(id: string): Promise<unknown>;
  /** Makes a restored row the resource's again. */
  claimRow(state: State): Promise<void>;
}

/** The row of a resource, once everything that was to come back is back. */
interface Revived<R, State> {
  readonly kind: "revived";
  readonly resource: R;
  readonly state: State | undefined;
}

/**
 * What is stored for a resource, after its spec's restore was done and its row was claimed. Both are remembered with the
 * row, so a settled resource costs nothing more than the look at its row. The finalizer stands before either: a row that
 * comes back for a resource that is deleted meanwhile would never be released.
 */
export async function reviveRow<
  R extends Revivable,
  State extends { readonly claimed?: boolean; readonly handledRestore: string | undefined },
>(
  client: KubeClient,
  resource: R,
  revival: Revival<R, State>,
  calls: CallOptions,
): Promise<Revived<R, State> | Outcome> {
  const { restoreFrom } = resource.spec;
  const state = await revival.find(resource);
  const isAsked = restoreFrom !== undefined && state?.handledRestore !== restoreFrom;
  if (!isAsked && state?.claimed !== false) return { kind: "revived", resource, state };

  if (!(await claim(client, revival.kind, resource, calls))) return gone();
  if (isAsked) await revival.restore(restoreFrom);
  else if (state) await revival.claimRow(state);
  const held = withFinalizer(resource);
  return { kind: "revived", resource: held, state: await revival.find(held) };
}

/** The resource as it is once our finalizer was set, whether or not the watch has shown it yet. */
export function withFinalizer<R extends Revivable>(resource: R): R {
  const { metadata } = resource;
  if (metadata.finalizers.includes(FINALIZER)) return resource;
  return { ...resource, metadata: { ...metadata, finalizers: [...metadata.finalizers, FINALIZER] } };
}
