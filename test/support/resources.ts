import { kubectl } from "./servers.ts";

/** An object of any kind as kubectl takes and gives it. */
export interface Manifest {
  readonly apiVersion?: string;
  readonly kind: string;
  readonly metadata: {
    readonly name: string;
    readonly annotations?: Readonly<Record<string, string>>;
    readonly labels?: Readonly<Record<string, string>>;
  };
  readonly spec?: object;
  readonly stringData?: Readonly<Record<string, string>>;
  readonly data?: Readonly<Record<string, string>>;
  readonly type?: string;
  readonly immutable?: boolean;
}

/** What tests read of a resource. */
export interface Observed {
  readonly metadata: {
    readonly name: string;
    readonly uid: string;
    readonly resourceVersion: string;
    readonly generation: number;
    readonly finalizers?: readonly string[];
    readonly ownerReferences?: readonly {
      readonly kind: string;
      readonly name: string;
      readonly controller?: boolean;
    }[];
  };
  readonly status?: {
    readonly observedGeneration: number;
    readonly conditions?: readonly {
      readonly type: string;
      readonly status: string;
      readonly reason: string;
      readonly message: string;
      readonly lastTransitionTime: string;
    }[];
    readonly [field: string]: unknown;
  };
  readonly data?: Readonly<Record<string, string>>;
}

const API_VERSION = "keystead.dev/v1alpha1";

export function environment(name: string, spec: object = {}): Manifest {
  return { apiVersion: API_VERSION, kind: "Environment", metadata: { name }, spec };
}

export function apiKeyIntegration(name: string, environmentName: string, spec: object = {}): Manifest {
  return {
    apiVersion: API_VERSION,
    kind: "Integration",
    metadata: { name },
    spec: { environmentRef: { name: environmentName }, auth: { mode: "API_KEY" }, ...spec },
  };
}

/** A Connection with the API key under `token` of the Secret of the same name, unless `spec` says otherwise. */
export function apiKeyConnection(
  name: string,
  parents: { environment: string; integration: string },
  spec: object = {},
): Manifest {
  return {
    apiVersion: API_VERSION,
    kind: "Connection",
    metadata: { name },
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

/** Applies manifests to a namespace in one call, in this order. */
export async function apply(namespace: string, ...manifests: readonly Manifest[]): Promise<void> {
  const list = { apiVersion: "v1", kind: "List", items: manifests };
  await kubectl(["-n", namespace, "apply", "--server-side", "--force-conflicts", "-f", "-"], {
    stdin: JSON.stringify(list),
  });
}

/** Reads one object, `connection/acme` for example. Throws when it does not exist. */
export async function get(namespace: string, object: string): Promise<Observed> {
  return JSON.parse(await kubectl(["-n", namespace, "get", object, "-o", "json"])) as Observed;
}

/** Waits as a user would: `kubectl wait --for=condition=Ready`. */
export async function waitReady(namespace: string, ...objects: readonly string[]): Promise<void> {
  await kubectl(["-n", namespace, "wait", "--for=condition=Ready", "--timeout=30s", ...objects]);
}

/** The condition of that type, if the object has it. */
export function conditionOf(
  object: Observed,
  type: string,
): { status: string; reason: string; message: string } | undefined {
  return object.status?.conditions?.find((condition) => condition.type === type);
}
