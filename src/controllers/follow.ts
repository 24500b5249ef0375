import type { ObjectKey } from "../kube/object.ts";
import type { ReflectorMetrics } from "../kube/reflector-position.ts";
import { createWorkQueue, type WorkQueue } from "../kube/work-queue.ts";
import type { Parsed } from "../resources/parse.ts";
import type { ReconcileMetrics } from "../telemetry/controller-metrics.ts";
import type { Log } from "../telemetry/log.ts";
import type { QueueMetrics } from "../telemetry/queue-metrics.ts";
import type { ReferenceIndex } from "./references.ts";
import { pack, type Packed, unpack } from "./packed.ts";
import { createRunner, type Reconciler, type RunnerDeps } from "./runner.ts";
import { asksForPass, concernsDependents, type KeysteadResource, targetKey, targetsOf } from "./targets.ts";
import { type Watched, watchKind } from "./watch.ts";

/** One kind at work: its objects, and the queue of those that need a pass. */
export interface Followed<R extends KeysteadResource> extends AsyncDisposable {
  readonly kind: R["kind"];
  readonly objects: Pick<Watched<Parsed<R>>, "get" | "keys" | "covers" | "synced" | "unhealthy" | "unready">;
  readonly queue: WorkQueue;
}

/** Numbers of all kinds; the names of queues and controllers are those of the kinds in lower case. */
export interface FollowMetrics {
  readonly queue: QueueMetrics;
  readonly reflector: ReflectorMetrics;
  reconciles(controller: string, concurrency: number): ReconcileMetrics;
}

/** What all kinds are followed with. */
export interface FollowOptions extends Pick<RunnerDeps, "client" | "events"> {
  /** None: the whole cluster. */
  readonly namespaces: readonly string[];
  readonly concurrency: number;
  readonly references: ReferenceIndex;
  readonly metrics: FollowMetrics;
  readonly log: Log;
  /** A complete list of a kind was read. */
  listed(): void;
  /** What is remembered about a resource goes with it. */
  forget(uid: string): void;
  /** A target that nobody refers to any more. */
  unreferenced(target: string): void;
  wakeDependents(kind: KeysteadResource["kind"], key: ObjectKey): void;
}

/**
 * Follows one kind: keeps its objects, the index of what they refer to, and a paused queue. Events only enqueue. The first
 * list enqueues nothing: that is left to the catch-up, which knows how to do it for thousands.
 */
export function followKind<R extends KeysteadResource>(
  kind: R["kind"],
  reconciler: Reconciler<R>,
  options: FollowOptions,
): Followed<R> {
  const { client, events, log, references, concurrency } = options;
  const name = kind.toLowerCase();
  const metrics = options.metrics.reconciles(name, concurrency);
  const runner = createRunner({ client, events, metrics, log, now: () => new Date() }, reconciler);
  const queue = createWorkQueue({
    name,
    concurrency,
    paused: true,
    run: runner.run,
    metrics: options.metrics.queue,
    failed: (key, error) => log.error({ error, kind, key }, "a pass broke off, which it never should"),
  });

  options.metrics.queue.observe(name, queue);

  function refer(key: ObjectKey, before: Parsed<R> | undefined, now: Parsed<R> | undefined): void {
    const former = targetsOf(before);
    references.update(targetKey(kind, key), former, targetsOf(now));
    for (const target of former) if (!references.has(target)) options.unreferenced(target);
  }

  const watched = watchKind<Packed<Parsed<R>>>({
    client,
    kind: reconciler.kind,
    namespaces: options.namespaces,
    keep: (object) => pack(reconciler.parse(object)),
    metrics: options.metrics.reflector,
    log,
    handler: {
      changed(key, packed, packedBefore, initial) {
        const now = unpack(packed);
        const before = packedBefore && unpack(packedBefore);
        refer(key, before, now);
        runner.statusSeen(key, now.value.status);
        if (initial) return;
        if (!before || asksForPass(before.value, now.value)) queue.add(key, "changed");
        if (concernsDependents(kind, before?.value, now.value)) options.wakeDependents(kind, key);
      },
      deleted(key, packed) {
        const last = unpack(packed);
        refer(key, last, undefined);
        options.forget(last.value.metadata.uid);
        // One more pass drops what the runner remembers about the key.
        queue.add(key, "resync");
        options.wakeDependents(kind, key);
      },
      listed: () => options.listed(),
    },
  });

  return {
    kind,
    objects: {
      get(key) {
        const packed = watched.get(key);
        return packed && unpack(packed);
      },
      keys: () => watched.keys(),
      covers: (namespace) => watched.covers(namespace),
      synced: watched.synced,
      unhealthy: (now) => watched.unhealthy(now),
      unready: (now) => watched.unready(now),
    },
    queue,
    async [Symbol.asyncDispose]() {
      await watched[Symbol.asyncDispose]();
      await queue[Symbol.asyncDispose]();
    },
  };
}
