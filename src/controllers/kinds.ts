import type { ResourceKind } from "../kube/resource-path.ts";

export const ENVIRONMENT: ResourceKind = {
  group: "keystead.dev",
  version: "v1alpha1",
  plural: "environments",
  kind: "Environment",
};
export const INTEGRATION: ResourceKind = { ...ENVIRONMENT, plural: "integrations", kind: "Integration" };
export const CONNECTION: ResourceKind = { ...ENVIRONMENT, plural: "connections", kind: "Connection" };

/** On every resource that may have a row: it is set before the first write to the database and goes after the soft-delete. */
export const FINALIZER = "keystead.dev/finalizer";

/** A new token rotates the secret key of an Environment once; the one present at creation counts as handled. */
export const ROTATE_SECRET_KEY = "keystead.dev/rotate-secret-key";
