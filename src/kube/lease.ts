import { hasCode } from "../errors.ts";
import type { KubeClient } from "./client.ts";
import type { ObjectMeta } from "./object.ts";
import { LEASE, resourcePath } from "./resource-path.ts";

/** `coordination.k8s.io/v1` Lease, as far as an election goes. */
export interface Lease {
  readonly metadata: Pick<ObjectMeta, "name" | "namespace" | "resourceVersion">;
  readonly spec?: LeaseSpec;
}

/** Times are RFC 3339 with six digits, by the holder's clock. */
export interface LeaseSpec {
  /** Empty or absent: nobody. */
  readonly holderIdentity?: string;
  readonly leaseDurationSeconds?: number;
  readonly acquireTime?: string;
  readonly renewTime?: string;
  /** Grows with every change of the holder. */
  readonly leaseTransitions?: number;
}

/** Where the lease lies. */
export interface LeaseAddress {
  readonly namespace: string;
  readonly name: string;
}

/** How long a single call may take: less than a renewal may, so that one lost packet does not cost the lease. */
export interface LeaseCallOptions {
  readonly signal: AbortSignal;
  readonly timeoutMs: number;
}

/** The lease as it is, or undefined when there is none. */
export async function readLease(
  client: KubeClient,
  address: LeaseAddress,
  options: LeaseCallOptions,
): Promise<Lease | undefined> {
  try {
    return await client.request<Lease>({
      method: "GET",
      path: resourcePath(LEASE, address),
      priority: "urgent",
      ...options,
    });
  } catch (thrown) {
    if (hasCode(thrown, "kube_not_found")) return undefined;
    throw thrown;
  }
}

/**
 * Writes the lease, on the condition that it is still `known` (or still missing). Undefined when it is not.
 * Not repeated by itself: the answer to a repeated write that took effect would read as if somebody else had been faster.
 */
export async function writeLease(
  client: KubeClient,
  address: LeaseAddress,
  known: Lease | undefined,
  spec: LeaseSpec,
  options: LeaseCallOptions,
): Promise<Lease | undefined> {
  const { namespace, name } = address;
  const metadata = { name, namespace, ...(known && { resourceVersion: known.metadata.resourceVersion }) };
  try {
    return await client.request<Lease>({
      method: known === undefined ? "POST" : "PUT",
      path: resourcePath(LEASE, known === undefined ? { namespace } : address),
      body: { apiVersion: "coordination.k8s.io/v1", kind: "Lease", metadata, spec },
      priority: "urgent",
      idempotent: false,
      ...options,
    });
  } catch (thrown) {
    if (hasCode(thrown, "kube_conflict") || hasCode(thrown, "kube_already_exists")) return undefined;
    // Deleted by somebody. For a new lease it would be the namespace that is missing, which is worth an error.
    if (known !== undefined && hasCode(thrown, "kube_not_found")) return undefined;
    throw thrown;
  }
}
