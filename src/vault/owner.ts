/** The Kubernetes resource that manages a row. Only the uid decides whose a row is; the names are for people. */
export interface Owner {
  /** uid of the cluster's `kube-system` namespace: several clusters may share one database. */
  readonly cluster: string;
  /** Name of the Keystead release that reconciles the resource. */
  readonly release: string;
  readonly namespace: string;
  readonly name: string;
  readonly uid: string;
  /** Who last changed what the resource declares, as `metadata.managedFields` names it; for audit events only. */
  readonly fieldManager?: string | undefined;
}

/** Who called the API: a key by its fingerprint, or the ServiceAccount of a pod as `namespace/name`. */
export type CallingActor =
  | { readonly kind: "key"; readonly fingerprint: string; readonly address?: string | undefined }
  | { readonly kind: "service-account"; readonly account: string; readonly address?: string | undefined };

/** Who did what an audit event records. */
export type Actor =
  | { readonly kind: "resource"; readonly owner: Owner }
  | CallingActor
  | { readonly kind: "system"; readonly name: string };

/** A Secret a declared value was read from. While uid and resourceVersion stay equal it need not be read again. */
export interface SecretSource {
  readonly name: string;
  readonly uid: string;
  readonly resourceVersion: string;
}

/** Whether two lists name the same versions of the same Secrets, in whatever order. */
export function sameSources(a: readonly SecretSource[], b: readonly SecretSource[]): boolean {
  if (a.length !== b.length) return false;
  const versions = new Map(a.map((source) => [source.name, source]));
  return b.every((source) => {
    const other = versions.get(source.name);
    return other?.uid === source.uid && other.resourceVersion === source.resourceVersion;
  });
}
