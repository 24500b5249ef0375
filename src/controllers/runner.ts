import { asKeysteadError, type KeysteadError } from "../errors.ts";
import { isNamespaceTerminating, isObjectRefused } from "../kube/api-error.ts";
import type { KubeClient } from "../kube/client.ts";
import type { EventRecorder } from "../kube/event-recorder.ts";
import { jsonEqual } from "../kube/json-equal.ts";
import type { ObjectKey } from "../kube/object.ts";
import type { ResourceKind } from "../kube/resource-path.ts";
import { patchStatus } from "../kube/status.ts";
import type { Requeue, WorkTurn } from "../kube/work-queue.ts";
import type { Parsed, Resource } from "../resources/parse.ts";
import type { Reason } from "../resources/reasons.ts";
import type { ReconcileMetrics } from "../telemetry/controller-metrics.ts";
import type { Log } from "../telemetry/log.ts";
import type { CallOptions } from "./deps.ts";
import { gone, type Outcome, outcomeOfError, stalled, suspended, toldRetry } from "./outcome.ts";
import { type Notice, noticeOf, recordEvent } from "./notice.ts";
import { type ResourceStatus, statusAfter } from "./status.ts";

type AnyResource = Resource<string, { readonly suspend?: boolean | undefined }, ResourceStatus>;

/** What one kind brings: how its objects are read and found, and what to do with a valid one and with one being deleted. */
export interface Reconciler<R extends AnyResource> {
  readonly kind: ResourceKind;
  readonly parse: (object: unknown) => Parsed<R>;
  readonly get: (key: ObjectKey) => Parsed<R> | undefined;
  reconcile(resource: R, calls: CallOptions): Promise<Outcome>;
  release(resource: Omit<R, "spec">, calls: CallOptions): Promise<Outcome>;
  /** What people should read about the difference between two statuses, where that is more than their conditions. Pure. */
  noticeOfChange?(before: ResourceStatus, after: ResourceStatus): Notice | undefined;
}

export interface RunnerDeps {
  readonly client: KubeClient;
  readonly events: EventRecorder;
  readonly metrics: ReconcileMetrics;
  readonly log: Pick<Log, "warn">;
  now(): Date;
}

/**
 * How long a new resource may wait for another one before its status says so. What `kubectl apply -f folder/` creates
 * arrives within this, in any order, and the status write that would be wrong a moment later is saved.
 */
const QUIET_WAIT_MS = 1_000;

/** A stalled resource is looked at again in case what was in its way went without an event, such as a row of the API. */
const SLOW_RETRY_MS = 300_000;

/** The same where a name may become free at any moment: a rename in one apply then takes seconds. */
const IN_USE_RETRY_MS = 10_000;
const IN_USE: ReadonlySet<Reason> = new Set<Reason>([
  "ConnectionIdInUse",
  "IntegrationKeyInUse",
  "RestoreConflict",
  "RestoreAlive",
]);

/** So that what is due is due when it is looked at, and not a rounding before. */
const DUE_MARGIN_MS = 50;

/** What is due is looked at again at least that often: the timers of a machine that sleeps stand still. */
const LONGEST_WAIT_MS = 24 * 60 * 60_000;

/** Failures in a row after which a retry is told in the status: about a second of back-off. */
const FAILURES_UNTOLD = 6;

export interface Runner {
  /** One pass over a resource, for the work queue. Never throws. */
  readonly run: (key: ObjectKey, signal: AbortSignal, turn: WorkTurn) => Promise<Requeue>;
  /** Has to be called with the status of the resource whenever the watch shows another version of it. */
  statusSeen(key: ObjectKey, status: ResourceStatus): void;
}

interface WrittenStatus {
  readonly uid: string;
  readonly status: ResourceStatus;
  /** What the watch may still show although it is overwritten. */
  readonly replaced: readonly ResourceStatus[];
}

/**
 * What an owner reads where the status cannot be written: the API server holds the stored object against the schema and its
 * rules with every write, and refuses all of them where one of the rules meets a wrong type.
 */
const STATUS_REFUSED =
  "The API server refuses every change of this object, that of its status included, so it stands here alone. docs/resources.md says how to mend it or to get rid of it.";

/** The one place that turns an outcome into status, event, metric and requeue. */
export function createRunner<R extends AnyResource>(deps: RunnerDeps, reconciler: Reconciler<R>): Runner {
  /** New resources whose wait is not told yet, with the instant at which it began. */
  const quietSince = new Map<ObjectKey, number>();
  /** Statuses written whose event has not come back: a pass in between must not write them a second time. */
  const written = new Map<ObjectKey, WrittenStatus>();
  /** Versions of resources whose status was refused, of which it was told. */
  const refused = new Map<ObjectKey, string>();

  async function report(
    resource: Omit<R, "spec">,
    key: ObjectKey,
    outcome: Outcome,
    calls: CallOptions,
  ): Promise<void> {
    const { uid, generation } = resource.metadata;
    const own = written.get(key);
    // The event of the last write may have come while this pass went on with the object from before.
    const shown = reconciler.get(key)?.value;
    const newest = shown?.metadata.uid === uid ? shown.status : resource.status;
    const before = own?.uid === uid ? own.status : newest;
    const after = statusAfter(before, outcome, generation, deps.now());
    if (after === before) return;
    // Before the status, which is what a process that starts again compares with: killed in between it tells it once more.
    const change = reconciler.noticeOfChange?.(before, after);
    if (change) recordEvent(deps.events, reconciler.kind, resource, change);
    await patchStatus(deps.client, reconciler.kind, resource, before, after, calls);
    // The event may be faster than the answer, and then there is nothing to remember.
    if (jsonEqual(reconciler.get(key)?.value.status, after)) written.delete(key);
    else written.set(key, { uid, status: after, replaced: own?.uid === uid ? [...own.replaced, before] : [before] });
    const notice = noticeOf(before, after, outcome);
    if (notice) recordEvent(deps.events, reconciler.kind, resource, notice);
  }

  /** Tells that a status was refused, once for each version of the spec: nobody will read it in the status. */
  function tellRefused(resource: Omit<R, "spec">, key: ObjectKey, outcome: Outcome, error: KeysteadError): void {
    const { uid, generation } = resource.metadata;
    const version = `${uid} ${generation}`;
    if (refused.get(key) === version) return;
    refused.set(key, version);
    const { kind } = reconciler;
    deps.log.warn(
      { error, kind: kind.kind, key },
      "the API server refuses every change of an object; only a person can mend it",
    );
    const why = outcome.kind === "stalled" ? outcome.message : error.message;
    const notice = { type: "Warning", reason: "StatusRefused", note: `${STATUS_REFUSED} ${why}` } as const;
    recordEvent(deps.events, kind, resource, notice);
  }

  async function pass(found: Parsed<R>, calls: CallOptions): Promise<Outcome> {
    try {
      if (found.value.metadata.deletionTimestamp) return await reconciler.release(found.value, calls);
      if (!found.ok) return stalled("InvalidSpec", found.message);
      if (found.value.spec.suspend) return suspended();
      return await reconciler.reconcile(found.value, calls);
    } catch (thrown) {
      return outcomeOfError(asKeysteadError(thrown));
    }
  }

  async function passAndReport(
    key: ObjectKey,
    calls: CallOptions,
    failures: number,
  ): Promise<{ outcome: Outcome; requeue: Requeue }> {
    const found = reconciler.get(key);
    if (!found) {
      quietSince.delete(key);
      written.delete(key);
      refused.delete(key);
      return { outcome: gone(), requeue: { kind: "done" } };
    }
    const ended = await pass(found, calls);
    const outcome = failures < FAILURES_UNTOLD ? ended : toldRetry(ended);
    const quietMs = outcome.kind === "waiting" && !found.value.status.conditions ? quietFor(key) : 0;
    if (quietMs > 0) return { outcome, requeue: { kind: "after", ms: quietMs } };
    quietSince.delete(key);
    try {
      await report(found.value, key, outcome, calls);
    } catch (thrown) {
      const error = asKeysteadError(thrown);
      const failed = outcomeOfError(error);
      if (isObjectRefused(error)) {
        tellRefused(found.value, key, outcome, error);
        return { outcome: failed, requeue: requeueOf(failed) };
      }
      // A status that could not be written is all that failed, so there is no use in another attempt to write one.
      return { outcome: failed, requeue: { kind: "backoff" } };
    }
    return { outcome, requeue: requeueOf(outcome) };
  }

  /** Milliseconds for which a new resource may go on waiting without a word; each pass in between asks again. */
  function quietFor(key: ObjectKey): number {
    const now = deps.now().getTime();
    const since = quietSince.get(key) ?? now;
    quietSince.set(key, since);
    return since + QUIET_WAIT_MS - now;
  }

  return {
    async run(key, signal, turn) {
      const finished = deps.metrics.started();
      // What somebody waits for passes the calls of a catch-up.
      const calls = { signal, priority: turn.priority === "changed" ? "urgent" : "normal" } as const;
      const { outcome, requeue } = await passAndReport(key, calls, turn.failures);
      // A namespace on its way out refuses whatever is made in it; the deletion of the resource follows.
      if (outcome.kind === "retry" && !isNamespaceTerminating(outcome.cause)) {
        deps.log.warn({ error: outcome.cause, kind: reconciler.kind.kind, key }, "A pass failed and is tried again");
      }
      finished(resultOf(outcome, requeue), outcome.kind === "stalled");
      return requeue;
    },
    statusSeen(key, status) {
      // The event of an earlier write, of the finalizer for one, still shows what our write replaced.
      if (!written.get(key)?.replaced.some((one) => jsonEqual(one, status))) written.delete(key);
    },
  };
}

function requeueOf(outcome: Outcome): Requeue {
  switch (outcome.kind) {
    case "settled":
      return outcome.dueInMs === undefined
        ? { kind: "done" }
        : { kind: "after", ms: Math.min(outcome.dueInMs + DUE_MARGIN_MS, LONGEST_WAIT_MS) };
    case "suspended":
    case "gone":
      return { kind: "done" };
    case "waiting":
    case "stalled":
      // Subtracting the jitter keeps the promise.
      return {
        kind: "after",
        ms: Math.min(
          (IN_USE.has(outcome.reason) ? IN_USE_RETRY_MS : SLOW_RETRY_MS) * (1 - Math.random() / 5),
          (outcome.dueInMs ?? Infinity) + DUE_MARGIN_MS,
        ),
      };
    case "retry":
      return { kind: "backoff" };
  }
}

function resultOf(outcome: Outcome, requeue: Requeue): "success" | "requeue_after" | "error" {
  if (outcome.kind === "retry") return "error";
  return requeue.kind === "after" ? "requeue_after" : "success";
}
