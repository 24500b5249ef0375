/** An object of any kind as a user writes it. */
export interface Manifest {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: {
    readonly name: string;
    readonly annotations?: Readonly<Record<string, string>>;
    readonly labels?: Readonly<Record<string, string>>;
    readonly finalizers?: readonly string[];
    readonly ownerReferences?: readonly object[];
  };
  readonly spec?: object;
  readonly stringData?: Readonly<Record<string, string>>;
  readonly data?: Readonly<Record<string, string>>;
  readonly type?: string;
  readonly immutable?: boolean;
}

/** A condition as the API server gives it. */
export interface ObservedCondition {
  readonly type: string;
  readonly status: string;
  readonly reason: string;
  readonly message: string;
  readonly lastTransitionTime: string;
  readonly observedGeneration?: number;
}

/** What tests read of an object. */
export interface Observed {
  readonly metadata: {
    readonly name: string;
    readonly uid: string;
    readonly resourceVersion: string;
    readonly generation: number;
    readonly deletionTimestamp?: string;
    readonly labels?: Readonly<Record<string, string>>;
    readonly finalizers?: readonly string[];
    readonly ownerReferences?: readonly { readonly kind: string; readonly name: string; readonly uid: string }[];
  };
  readonly status?: {
    readonly observedGeneration: number;
    readonly conditions?: readonly ObservedCondition[];
    readonly [field: string]: unknown;
  };
  readonly spec?: Readonly<Record<string, unknown>>;
  readonly data?: Readonly<Record<string, string>>;
}

const API_VERSION = "keystead.dev/v1alpha1";

type Metadata = Omit<Manifest["metadata"], "name">;

export function environment(name: string, spec: object = {}, metadata: Metadata = {}): Manifest {
  return { apiVersion: API_VERSION, kind: "Environment", metadata: { name, ...metadata }, spec };
}

/** An entry of `spec.apiKeys` that may list connections and is in a Secret of its own, unless `changes` say otherwise. */
export function namedKey(name: string, changes: object = {}): object {
  return { name, scopes: ["connections:list"], secretName: `${name}-key`, ...changes };
}

/** An Integration of mode API_KEY, unless `spec` says otherwise. */
export function integration(name: string, environmentName: string, spec: object = {}): Manifest {
  return {
    apiVersion: API_VERSION,
    kind: "Integration",
    metadata: { name },
    spec: { environmentRef: { name: environmentName }, auth: { mode: "API_KEY" }, ...spec },
  };
}

/** A Connection with the API key under `token` of the Secret of the same name, unless `spec` says otherwise. */
export function connection(
  name: string,
  parents: { environment: string; integration: string },
  spec: object = {},
  metadata: Metadata = {},
): Manifest {
  return {
    apiVersion: API_VERSION,
    kind: "Connection",
    metadata: { name, ...metadata },
    spec: {
      environmentRef: { name: parents.environment },
      integrationRef: { name: parents.integration },
      credentials: { apiKey: { apiKeyRef: { name, key: "token" } } },
      ...spec,
    },
  };
}

export function secret(
  name: string,
  stringData: Readonly<Record<string, string>>,
  more: Partial<Manifest> = {},
): Manifest {
  return { apiVersion: "v1", kind: "Secret", metadata: { name }, stringData, ...more };
}

/** The condition of that type, if the object has it. */
export function conditionOf(object: Observed | undefined, type: string): ObservedCondition | undefined {
  return object?.status?.conditions?.find((condition) => condition.type === type);
}

/** Every condition as `Type=Status Reason`, in order: a status in one glance. */
export function conditionsOf(object: Observed | undefined): string[] {
  return (object?.status?.conditions ?? []).map(({ type, status, reason }) => `${type}=${status} ${reason}`);
}
