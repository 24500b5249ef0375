import type { KubeClient } from "../kube/client.ts";
import type { EventRecorder } from "../kube/event-recorder.ts";
import type { ObjectKey } from "../kube/object.ts";
import type { ReflectorMetrics } from "../kube/reflector-position.ts";
import { SECRET } from "../kube/resource-path.ts";
import type { WorkQueueMetrics } from "../kube/work-queue.ts";
import { parseConnection } from "../resources/connection.ts";
import { parseEnvironment } from "../resources/environment.ts";
import { parseIntegration } from "../resources/integration.ts";
import type { ReconcileMetrics } from "../telemetry/controller-metrics.ts";
import type { Log } from "../telemetry/log.ts";
import type { Vault } from "../vault/context.ts";
import { catchUp } from "./catch-up.ts";
import { reconcileConnection, releaseConnection } from "./connection.ts";
import type { ControllerDeps } from "./deps.ts";
import { reconcileEnvironment, releaseEnvironment } from "./environment.ts";
import { followKind } from "./follow.ts";
import { reconcileIntegration, releaseIntegration } from "./integration.ts";
import { CONNECTION, ENVIRONMENT, INTEGRATION } from "./kinds.ts";
import { createReferenceIndex } from "./references.ts";
import { createRows } from "./rows.ts";
import { createRunner, type Reconciler, type Runner } from "./runner.ts";
import { createSecrets, type SecretVersion } from "./secrets.ts";
import { type KeysteadResource, splitTarget, targetKey } from "./targets.ts";
import { type Watched, watchKind } from "./watch.ts";

export interface ControllerOptions {
  readonly client: KubeClient;
  readonly vault: Vault;
  readonly events: EventRecorder;
  /** uid of the cluster's kube-system namespace. */
  readonly cluster: string;
  readonly release: string;
  readonly serviceUrl: string;
  /** Namespaces to watch; none means all. */
  readonly namespaces: readonly string[];
  /** Resources of one kind that are reconciled at the same time. */
  readonly concurrency: number;
  readonly log: Log;
  readonly metrics: {
    readonly queue: WorkQueueMetrics | undefined;
    readonly reflector: ReflectorMetrics;
    reconciles(controller: string, concurrency: number): ReconcileMetrics;
  };
}

/** The controller of all three kinds: it watches from the start and works once `work` is called. */
export interface Controller extends AsyncDisposable {
  /** Starts reconciling, to be called once this process is the leader; resolves when all that was there had its turn in the queue. */
  work(signal: AbortSignal): Promise<void>;
  /** Lets the passes that run come to an end and begins no other. */
  drain(): Promise<void>;
  /** Why no progress is possible any more, at `now` (`performance.now()`), if so. */
  unhealthy(now: number): string | undefined;
}

/**
 * Starts to watch. Secrets are watched as metadata, and only after the resources are known, because only those that a
 * resource refers to are kept.
 */
export function startController(options: ControllerOptions): Controller {
  const { client, vault, log, namespaces, concurrency, metrics } = options;
  const references = createReferenceIndex();
  const rows = createRows(vault);
  const writtenSecrets = new Map<string, SecretVersion>();
  let secretVersions: Watched<SecretVersion> | undefined;
  const secrets = createSecrets(client, (key) => secretVersions?.get(key));
  let wakes = false;

  function wakeDependents(kind: KeysteadResource["kind"], key: ObjectKey): void {
    if (wakes) wakeOwners(targetKey(kind, key));
  }

  function wakeOwners(target: string): void {
    for (const owner of references.ownersOf(target)) {
      const { kind, key } = splitTarget(owner);
      if (kind === "Environment" || kind === "Integration" || kind === "Connection")
        kinds[kind].queue.add(key, "changed");
    }
  }

  const deps: ControllerDeps = {
    ...options,
    rows,
    secrets,
    writtenSecrets,
    environments: { get: (key) => kinds.Environment.objects.get(key) },
    integrations: { get: (key) => kinds.Integration.objects.get(key) },
    connections: { get: (key) => kinds.Connection.objects.get(key) },
    wakeDependents,
  };

  function runnerOf<R extends KeysteadResource>(reconciler: Reconciler<R>): Runner {
    const controller = reconciler.kind.kind.toLowerCase();
    return createRunner(
      { client, events: options.events, metrics: metrics.reconciles(controller, concurrency), log, now: currentTime },
      reconciler,
    );
  }

  const common = {
    client,
    namespaces,
    concurrency,
    references,
    metrics,
    log,
    wakeDependents,
    forget(uid: string) {
      rows.forget(uid);
      writtenSecrets.delete(uid);
    },
    unreferenced(target: string) {
      const { kind, key } = splitTarget(target);
      if (kind === "Secret") secrets.changed(key);
    },
  };

  const kinds = {
    Environment: followKind({
      ...common,
      kind: "Environment",
      parse: parseEnvironment,
      runner: runnerOf({
        kind: ENVIRONMENT,
        get: deps.environments.get,
        reconcile: (environment, calls) => reconcileEnvironment(deps, environment, calls),
        release: (environment, calls) => releaseEnvironment(deps, environment, calls),
      }),
    }),
    Integration: followKind({
      ...common,
      kind: "Integration",
      parse: parseIntegration,
      runner: runnerOf({
        kind: INTEGRATION,
        get: deps.integrations.get,
        reconcile: (integration, calls) => reconcileIntegration(deps, integration, calls),
        release: (integration, calls) => releaseIntegration(deps, integration, calls),
      }),
    }),
    Connection: followKind({
      ...common,
      kind: "Connection",
      parse: parseConnection,
      runner: runnerOf({
        kind: CONNECTION,
        get: deps.connections.get,
        reconcile: (connection, calls) => reconcileConnection(deps, connection, calls),
        release: (connection, calls) => releaseConnection(deps, connection, calls),
      }),
    }),
  };
  const all = [kinds.Environment, kinds.Integration, kinds.Connection];

  function watchSecrets(): Watched<SecretVersion> {
    return watchKind<SecretVersion>({
      client,
      kind: SECRET,
      namespaces,
      metadataOnly: true,
      keep({ metadata }) {
        const { namespace = "", name, uid, resourceVersion } = metadata;
        return references.has(targetKey("Secret", `${namespace}/${name}`)) ? { uid, resourceVersion } : undefined;
      },
      metrics: metrics.reflector,
      log,
      handler: {
        changed(key, _now, _before, initial) {
          secrets.changed(key);
          if (!initial) wakeOwners(targetKey("Secret", key));
        },
        deleted(key) {
          secrets.changed(key);
          wakeOwners(targetKey("Secret", key));
        },
      },
    });
  }

  const ready = Promise.all(all.map(({ objects }) => objects.synced)).then(() => {
    secretVersions = watchSecrets();
    return secretVersions.synced;
  });
  // Disposal before the first sync rejects it, and then nobody may be waiting.
  ready.catch(() => undefined);

  return {
    async work(signal) {
      await ready;
      for (const { queue } of all) queue.start();
      await catchUp({
        parents: [kinds.Environment, kinds.Integration],
        connections: kinds.Connection,
        rows,
        log,
        signal,
        parentsDone() {
          wakes = true;
        },
      });
    },
    async drain() {
      await Promise.all(all.map(({ queue }) => queue.drain()));
    },
    unhealthy(now) {
      const watches = [...all.map(({ objects }) => objects), ...(secretVersions ? [secretVersions] : [])];
      return watches.map((watch) => watch.unhealthy(now)).find((reason) => reason !== undefined);
    },
    async [Symbol.asyncDispose]() {
      await Promise.all([...all.map((kind) => kind[Symbol.asyncDispose]()), secretVersions?.[Symbol.asyncDispose]()]);
    },
  };
}

function currentTime(): Date {
  return new Date();
}
