/** The part of `metadata` that Keystead reads. `managedFields` is missing on purpose: it is never held, only looked at. */
export interface ObjectMeta {
  readonly name: string;
  readonly namespace?: string;
  readonly uid: string;
  /** Opaque: compared for equality only, never for order. */
  readonly resourceVersion: string;
  readonly generation?: number;
  readonly creationTimestamp?: string;
  readonly deletionTimestamp?: string | undefined;
  readonly labels?: Readonly<Record<string, string>>;
  readonly annotations?: Readonly<Record<string, string>>;
  readonly finalizers?: readonly string[];
  readonly ownerReferences?: readonly OwnerReference[];
}

/** Whose deletion takes this object along. */
export interface OwnerReference {
  readonly apiVersion: string;
  readonly kind: string;
  readonly name: string;
  readonly uid: string;
  readonly controller?: boolean;
  readonly blockOwnerDeletion?: boolean;
}

/** An object as it comes from the API server: everything but `metadata` is unknown until somebody has parsed it. */
export interface KubeObject {
  readonly apiVersion?: string;
  readonly kind?: string;
  readonly metadata: ObjectMeta;
  readonly spec?: unknown;
  readonly status?: unknown;
}

/** A Secret. Values of `data` are base64. */
export interface KubeSecret extends KubeObject {
  readonly type?: string;
  readonly data?: Readonly<Record<string, string>>;
  readonly immutable?: boolean;
}

/** `namespace/name`; `/name` for an object without a namespace. Neither part can hold a slash, so it splits one way. */
export type ObjectKey = `${string}/${string}`;

/** Key of an object known by name. An empty namespace stands for none. */
export function objectKey(namespace: string, name: string): ObjectKey {
  return `${namespace}/${name}`;
}

/** Key of an object that came from the API server. */
export function keyOf(object: { readonly metadata: Pick<ObjectMeta, "name" | "namespace"> }): ObjectKey {
  return `${object.metadata.namespace ?? ""}/${object.metadata.name}`;
}

/** The parts of a key. `namespace` is empty where there is none. */
export function splitKey(key: ObjectKey): { namespace: string; name: string } {
  const slash = key.indexOf("/");
  return { namespace: key.slice(0, slash), name: key.slice(slash + 1) };
}

/** Whether a parsed JSON value can be handled as an object of a kind: it has a name, a uid and a version. */
export function isKubeObject(value: unknown): value is KubeObject {
  if (typeof value !== "object" || value === null || !("metadata" in value)) return false;
  const meta = value.metadata;
  return (
    typeof meta === "object" &&
    meta !== null &&
    "name" in meta &&
    typeof meta.name === "string" &&
    "uid" in meta &&
    typeof meta.uid === "string" &&
    "resourceVersion" in meta &&
    typeof meta.resourceVersion === "string"
  );
}
