import { setTimeout as delay } from "node:timers/promises";
import type { KubeClient } from "../kube/client.ts";
import type { KubeObject, ObjectKey } from "../kube/object.ts";
import { splitKey } from "../kube/object.ts";
import { type Reflector, startReflector } from "../kube/reflector.ts";
import type { ReflectorMetrics } from "../kube/reflector-position.ts";
import type { ReflectorHandler } from "../kube/reflector-store.ts";
import type { ResourceKind } from "../kube/resource-path.ts";
import type { Log } from "../telemetry/log.ts";
import { OUTAGE_GRACE_MS } from "../telemetry/readiness.ts";

interface WatchOptions<T> {
  readonly client: KubeClient;
  readonly kind: ResourceKind;
  /** None: the whole cluster, with one watch. */
  readonly namespaces: readonly string[];
  readonly metadataOnly?: boolean;
  keep(object: KubeObject): T | undefined;
  readonly handler: ReflectorHandler<T>;
  readonly metrics: ReflectorMetrics;
  readonly log: Log;
}

/** The objects of one kind in all namespaces that are watched. */
export interface Watched<T> extends AsyncDisposable {
  get(key: ObjectKey): T | undefined;
  keys(): Iterable<ObjectKey>;
  /** Whether a complete list of the namespace was read. */
  covers(namespace: string): boolean;
  /** See `Reflector`. */
  adopt(object: KubeObject): void;
  /** Resolves when the first list of every namespace is complete. */
  readonly synced: Promise<void>;
  /** Why the watch cannot be relied on any more, at `now` (`performance.now()`), if so: only a restart may help. */
  unhealthy(now: number): string | undefined;
  /**
   * Why nothing is known of the kind at `now`, if so: it was not listed yet, or could not be watched for longer than an outage
   * is forgiven. Of several namespaces one that works is enough, as for `synced`.
   */
  unready(now: number): string | undefined;
}

/** How long the first list of one of several namespaces may take before the others begin. */
const LATE_MS = 10_000;

/** Watches one kind: with one reflector for the cluster, or with one for each namespace where only those may be read. */
export function watchKind<T>({ namespaces, ...options }: WatchOptions<T>): Watched<T> {
  const scopes: readonly (string | undefined)[] = namespaces.length === 0 ? [undefined] : namespaces;
  let begun = false;
  const handler: ReflectorHandler<T> = {
    // What a namespace lists after the others have begun is news.
    changed: (key, now, before, initial) => options.handler.changed(key, now, before, initial && !begun),
    deleted: (key, last) => options.handler.deleted(key, last),
    listed: () => options.handler.listed?.(),
  };
  const reflectors = new Map<string | undefined, Reflector<T>>(
    scopes.map((namespace) => [namespace, startReflector({ ...options, handler, namespace })]),
  );
  const clusterWide = reflectors.get(undefined);
  const all = [...reflectors.values()];
  const reflectorOf = (namespace: string): Reflector<T> | undefined => clusterWide ?? reflectors.get(namespace);
  const begin = async (): Promise<void> => {
    const late = await whenSynced(all, namespaces.length === 0 ? undefined : LATE_MS);
    begun = true;
    if (late === 0) return;
    const { plural } = options.kind;
    options.log.warn({ kind: plural, late }, "namespaces cannot be listed; the others go on without them");
  };
  return {
    get: (key) => reflectorOf(splitKey(key).namespace)?.get(key),
    covers: (namespace) => reflectorOf(namespace)?.isSynced ?? false,
    adopt: (object) => reflectorOf(object.metadata.namespace ?? "")?.adopt(object),
    *keys() {
      for (const reflector of all) yield* reflector.keys();
    },
    synced: begin(),
    unhealthy(now) {
      for (const reflector of all) {
        const health = reflector.health(now);
        if (!health.ok) return health.reason;
      }
      return undefined;
    },
    unready(now) {
      const { plural } = options.kind;
      if (!all.some((reflector) => reflector.isSynced)) return `${plural} have not been listed yet; the log says why`;
      if (all.some((reflector) => reflector.outageMs(now) <= OUTAGE_GRACE_MS)) return undefined;
      return `${plural} could not be watched for more than ${OUTAGE_GRACE_MS / 1_000} s; the log says why`;
    },
    async [Symbol.asyncDispose]() {
      await Promise.all(all.map((reflector) => reflector[Symbol.asyncDispose]()));
    },
  };
}

/**
 * Resolves with the number of those that have not read their first list: 0, or more when `patienceMs` is over. A namespace
 * without rights, or one that was deleted, must not keep the others from being served.
 */
async function whenSynced(reflectors: readonly Reflector<unknown>[], patienceMs: number | undefined): Promise<number> {
  const all = Promise.all(reflectors.map((reflector) => reflector.synced));
  if (patienceMs === undefined) {
    await all;
    return 0;
  }
  const over = new AbortController();
  const patience = delay(patienceMs, undefined, { signal: over.signal }).catch(() => undefined);
  await Promise.race([all, patience]);
  over.abort();
  return reflectors.filter((reflector) => !reflector.isSynced).length;
}
