import { KeysteadError } from "../errors.ts";

/** A kind of object as the API server addresses it. `group` is empty for the core group. */
export interface ResourceKind {
  readonly group: string;
  readonly version: string;
  /** Lower-case plural, as in the URL. */
  readonly plural: string;
  /** As in `kind:` of a manifest. */
  readonly kind: string;
}

/** Read by name, watched as metadata alone. */
export const SECRET: ResourceKind = { group: "", version: "v1", plural: "secrets", kind: "Secret" };
/** Whose pods may send their token. Watched as metadata alone. */
export const SERVICE_ACCOUNT: ResourceKind = {
  group: "",
  version: "v1",
  plural: "serviceaccounts",
  kind: "ServiceAccount",
};
/** Not namespaced itself. */
export const NAMESPACE: ResourceKind = { group: "", version: "v1", plural: "namespaces", kind: "Namespace" };
/** The newer of the two groups that serve events; both show the same ones. */
export const EVENT: ResourceKind = { group: "events.k8s.io", version: "v1", plural: "events", kind: "Event" };
/** What an election is held on. */
export const LEASE: ResourceKind = { group: "coordination.k8s.io", version: "v1", plural: "leases", kind: "Lease" };

/** Which object of a kind, or which collection. */
export interface ResourceAddress {
  /** Absent: the object is not namespaced, or a list reaches over all namespaces. */
  readonly namespace?: string | undefined;
  /** Absent: the collection. */
  readonly name?: string | undefined;
  readonly subresource?: "status" | undefined;
}

/**
 * Path of an object or a collection.
 *
 * Throws `kube_path_invalid` for a namespace or name that would address something else: a name often comes out of a
 * resource that any user may write, and an empty one would turn the read of one Secret into a list of all.
 */
export function resourcePath(kind: ResourceKind, address: ResourceAddress = {}): string {
  let path = `${kind.group === "" ? "/api" : `/apis/${kind.group}`}/${kind.version}`;
  if (address.namespace !== undefined) path += `/namespaces/${pathSegment(address.namespace)}`;
  path += `/${kind.plural}`;
  if (address.name !== undefined) path += `/${pathSegment(address.name)}`;
  if (address.subresource !== undefined) path += `/${address.subresource}`;
  return path;
}

/** `apiVersion` as manifests spell it. */
export function apiVersionOf(kind: ResourceKind): string {
  return kind.group === "" ? kind.version : `${kind.group}/${kind.version}`;
}

/** What object names are made of; tried first, because every call passes here. */
const PLAIN_SEGMENT = /^[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?$/;

function pathSegment(segment: string): string {
  if (PLAIN_SEGMENT.test(segment)) return segment;
  // The API server's own rule for names in paths (IsValidPathSegmentName), plus the empty one.
  if (segment === "" || segment === "." || segment === ".." || /[/%]/.test(segment)) {
    throw new KeysteadError(
      "kube_path_invalid",
      `${JSON.stringify(segment)} cannot be the name of a Kubernetes object`,
    );
  }
  return encodeURIComponent(segment);
}
