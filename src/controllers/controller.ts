import type { ObjectKey } from "../kube/object.ts";
import type { WorkQueue } from "../kube/work-queue.ts";
import type { ReigningVault } from "../vault/context.ts";
import type { ManagedKind } from "../vault/managed-rows.ts";
import { catchUp } from "./catch-up.ts";
import { connectionReconciler } from "./connection.ts";
import type { ControllerDeps, WrittenSecret } from "./deps.ts";
import { environmentReconciler } from "./environment.ts";
import { type Followed, followKind, type FollowOptions } from "./follow.ts";
import { integrationReconciler } from "./integration.ts";
import { createIssuerKeys } from "./issuer-keys.ts";
import { createReferenceIndex } from "./references.ts";
import { createRows } from "./rows.ts";
import { createSecretWatch } from "./secret-watch.ts";
import { createServiceAccountWatch } from "./service-account-watch.ts";
import { createSweep, type SweepMetrics, type SweptKind } from "./sweep.ts";
import { createSupersededWatch } from "./superseded.ts";
import { type KeysteadResource, splitTarget, targetKey } from "./targets.ts";

export interface ControllerOptions extends Pick<
  FollowOptions,
  "client" | "events" | "namespaces" | "concurrency" | "metrics" | "log"
> {
  readonly vault: ReigningVault;
  readonly sweepMetrics: SweepMetrics;
  /** uid of the cluster's kube-system namespace. */
  readonly cluster: string;
  readonly release: string;
  /** Where applications reach the API. */
  readonly serviceUrl: string;
}

/** The controller of all three kinds: it watches from the start, and works once `work` is called. */
export interface Controller extends AsyncDisposable {
  /**
   * Starts reconciling, to be called once this process is the leader. Resolves when all that was there had its turn in the
   * queue; with `signal` it stops feeding the queue.
   */
  work(signal: AbortSignal): Promise<void>;
  /**
   * Looks for what no event tells of, for the leader that has caught up: environments that were taken over, and rows whose
   * resource went without its finalizer. To be called again and again.
   */
  look(signal: AbortSignal): Promise<void>;
  /** Lets the passes that run come to an end, until `cutOff` breaks them off, and begins no other. */
  drain(cutOff: AbortSignal): Promise<void>;
  /** Why no progress is possible any more, at `now` (`performance.now()`), if so. */
  unhealthy(now: number): string | undefined;
  /** Why it would not hear of a change, at `now`, if so. */
  unready(now: number): string | undefined;
}

/** Starts to watch. Nothing is reconciled yet, so that a standby has everything at hand when it becomes the leader. */
export function startController(options: ControllerOptions): Controller {
  const { client, vault, log } = options;
  const references = createReferenceIndex();
  const rows = createRows(vault);
  const writtenSecrets = new Map<string, Map<string, WrittenSecret>>();
  const clearedSecrets = new Set<string>();
  const secretWatch = createSecretWatch({ ...options, references, wake });
  const serviceAccounts = createServiceAccountWatch({ ...options, wake });
  const issuerKeys = createIssuerKeys(options);
  const begun = new Set<string>();
  const released = new Set<string>();
  const sweep = createSweep({ ...options, metrics: options.sweepMetrics, kind: (kind) => swept[kind] });

  function wake(target: string, isWanted: (kind: string) => boolean = () => true): void {
    for (const owner of references.ownersOf(target)) {
      const { kind, key } = splitTarget(owner);
      if (isWanted(kind)) queues.get(kind)?.add(key, "changed");
    }
  }

  function wakeDependents(kind: KeysteadResource["kind"], key: ObjectKey): void {
    // Kinds that the catch-up has yet to come to get their pass from it, with their rows loaded ahead.
    wake(targetKey(kind, key), (dependent) => begun.has(dependent));
  }

  const followOptions: FollowOptions = {
    ...options,
    references,
    wakeDependents,
    listed: () => sweep.due(),
    forget(uid) {
      // Without having been released: its finalizer was taken off by somebody else.
      if (!released.delete(uid)) sweep.due();
      rows.forget(uid);
      writtenSecrets.delete(uid);
      clearedSecrets.delete(uid);
    },
    unreferenced(target) {
      const { kind, key } = splitTarget(target);
      if (kind === "Secret") secretWatch.secrets.changed(key);
    },
  };
  const deps: ControllerDeps = {
    client,
    vault,
    events: options.events,
    cluster: options.cluster,
    release: options.release,
    serviceUrl: options.serviceUrl,
    rows,
    secrets: secretWatch.secrets,
    writtenSecrets,
    clearedSecrets,
    released,
    sweep,
    serviceAccounts,
    issuerKeys,
    environments: { get: (key) => environments.objects.get(key) },
    integrations: { get: (key) => integrations.objects.get(key) },
    connections: { get: (key) => connections.objects.get(key) },
    wakeDependents,
  };
  const environments = followKind("Environment", environmentReconciler(deps), followOptions);
  const integrations = followKind("Integration", integrationReconciler(deps), followOptions);
  const connections = followKind("Connection", connectionReconciler(deps), followOptions);
  const followed = [environments, integrations, connections];
  const superseded = createSupersededWatch({
    ...options,
    uidOf: (key) => environments.objects.get(key)?.value.metadata.uid,
    wake: (key) => environments.queue.add(key, "changed"),
  });
  const swept: Record<ManagedKind, SweptKind> = {
    environment: sweptKind(environments.objects),
    integration: sweptKind(integrations.objects),
    connection: sweptKind(connections.objects),
  };
  const queues = new Map<string, WorkQueue>(followed.map(({ kind, queue }) => [kind, queue]));

  const listed = Promise.all([...followed.map(({ objects }) => objects.synced), serviceAccounts.synced]);
  const ready = listed.then(() => secretWatch.start());
  // Disposal before the first sync rejects it, and then nobody may be waiting.
  ready.catch(() => undefined);

  return {
    async work(signal) {
      await ready;
      for (const { queue } of followed) queue.start();
      await catchUp({
        kinds: followed,
        references,
        rows,
        log,
        signal,
        begins: (kind) => void begun.add(kind),
      });
    },
    async look(signal) {
      await superseded.turn();
      await sweep.turn(signal);
      await issuerKeys.renew(signal);
    },
    async drain(cutOff) {
      await Promise.all(followed.map(({ queue }) => queue.drain(cutOff)));
    },
    unhealthy(now) {
      const watches = [
        ...followed.map(({ objects }) => objects.unhealthy(now)),
        serviceAccounts.unhealthy(now),
        secretWatch.unhealthy(now),
      ];
      const queued = followed.map(({ queue }) => queue.unhealthy(now));
      return [...watches, ...queued].find((reason) => reason !== undefined);
    },
    unready(now) {
      const reasons = [
        ...followed.map(({ objects }) => objects.unready(now)),
        serviceAccounts.unready(now),
        secretWatch.unready(now),
      ];
      return reasons.find((reason) => reason !== undefined);
    },
    async [Symbol.asyncDispose]() {
      await Promise.all([...followed, serviceAccounts, secretWatch].map((part) => part[Symbol.asyncDispose]()));
    },
  };
}

function sweptKind(objects: Followed<KeysteadResource>["objects"]): SweptKind {
  return {
    uidOf: (key) => objects.get(key)?.value.metadata.uid,
    covers: (namespace) => objects.covers(namespace),
    keys: () => objects.keys(),
  };
}
