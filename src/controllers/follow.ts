import type { KubeClient } from "../kube/client.ts";
import type { KubeObject, ObjectKey } from "../kube/object.ts";
import type { ReflectorMetrics } from "../kube/reflector-position.ts";
import { createWorkQueue, type WorkQueue, type WorkQueueMetrics } from "../kube/work-queue.ts";
import type { Parsed } from "../resources/parse.ts";
import type { Log } from "../telemetry/log.ts";
import type { ReferenceIndex } from "./references.ts";
import type { Runner } from "./runner.ts";
import { asksForPass, concernsDependents, type KeysteadResource, targetKey, targetsOf } from "./targets.ts";
import { type Watched, watchKind } from "./watch.ts";
import { ENVIRONMENT, INTEGRATION, CONNECTION } from "./kinds.ts";

/** One kind at work: its objects, and the queue of those that need a pass. */
export interface Followed<R extends KeysteadResource> extends AsyncDisposable {
  readonly objects: Watched<Parsed<R>>;
  readonly queue: WorkQueue;
}

interface FollowOptions<R extends KeysteadResource> {
  readonly kind: R["kind"];
  readonly client: KubeClient;
  readonly namespaces: readonly string[];
  readonly concurrency: number;
  readonly references: ReferenceIndex;
  readonly runner: Runner;
  readonly metrics: { readonly queue: WorkQueueMetrics | undefined; readonly reflector: ReflectorMetrics };
  readonly log: Log;
  readonly parse: (object: KubeObject) => Parsed<R>;
  /** What is remembered about a resource goes with it. */
  forget(uid: string): void;
  /** A target that nobody refers to any more. */
  unreferenced(target: string): void;
  wakeDependents(kind: R["kind"], key: ObjectKey): void;
}

const KINDS = { Environment: ENVIRONMENT, Integration: INTEGRATION, Connection: CONNECTION };

/**
 * Follows one kind: keeps its objects, the index of what they refer to, and a paused queue. Events only enqueue. The first
 * list enqueues nothing: that is left to the catch-up, which knows how to do it for thousands.
 */
export function followKind<R extends KeysteadResource>(options: FollowOptions<R>): Followed<R> {
  const { kind, references, runner, log } = options;
  const queue = createWorkQueue({
    name: kind.toLowerCase(),
    concurrency: options.concurrency,
    paused: true,
    run: runner.run,
    metrics: options.metrics.queue,
    failed: (key, error) => log.error({ error, kind, key }, "A pass broke off, which it never should"),
  });

  function refer(key: ObjectKey, before: Parsed<R> | undefined, now: Parsed<R> | undefined): void {
    const former = targetsOf(before);
    references.update(targetKey(kind, key), former, targetsOf(now));
    for (const target of former) if (!references.has(target)) options.unreferenced(target);
  }

  const objects = watchKind<Parsed<R>>({
    client: options.client,
    kind: KINDS[kind],
    namespaces: options.namespaces,
    keep: options.parse,
    metrics: options.metrics.reflector,
    log,
    handler: {
      changed(key, now, before, initial) {
        refer(key, before, now);
        if (before && before.value.status !== now.value.status) runner.statusSeen(key);
        if (initial) return;
        if (!before || asksForPass(before.value, now.value)) queue.add(key, "changed");
        if (concernsDependents(before?.value, now.value)) options.wakeDependents(kind, key);
      },
      deleted(key, last) {
        refer(key, last, undefined);
        options.forget(last.value.metadata.uid);
        // One more pass drops what the runner remembers about the key.
        queue.add(key, "resync");
        options.wakeDependents(kind, key);
      },
    },
  });

  return {
    objects,
    queue,
    async [Symbol.asyncDispose]() {
      await objects[Symbol.asyncDispose]();
      await queue[Symbol.asyncDispose]();
    },
  };
}
