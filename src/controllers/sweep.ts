import type { KubeClient } from "../kube/client.ts";
import type { EventRecorder } from "../kube/event-recorder.ts";
import { type ObjectKey, objectKey, splitKey } from "../kube/object.ts";
import { apiVersionOf, type ResourceKind } from "../kube/resource-path.ts";
import { CONNECTION, ENVIRONMENT, INTEGRATION } from "../resources/kinds.ts";
import type { Log } from "../telemetry/log.ts";
import type { ReigningVault } from "../vault/context.ts";
import { isStillManaged, managedRows, type ManagedKind, type ManagedRow } from "../vault/managed-rows.ts";
import type { Actor } from "../vault/owner.ts";
import { softDeleteConnection } from "../vault/soft-delete-connection.ts";
import { softDeleteEnvironment } from "../vault/soft-delete-environment.ts";
import { softDeleteIntegration } from "../vault/soft-delete-integration.ts";
import { clearStoppedSweep, findStoppedSweep, stopSweep } from "../vault/stopped-sweeps.ts";
import { onlyGone } from "./prove-gone.ts";
import { judgeSweep } from "./sweep-verdict.ts";

/** What the sweep tells. */
export interface SweepMetrics {
  /** Rows of resources that the last sweep did not find, whether it was stopped by their number or not. */
  found(orphans: number, stopped: boolean): void;
  deleted(): void;
}

/** What the watch knows of one kind. */
export interface SweptKind {
  /** uid of the object of that name. */
  uidOf(key: ObjectKey): string | undefined;
  /** Whether a complete list of the namespace was read. */
  covers(namespace: string): boolean;
  /** All that are there. */
  keys(): Iterable<ObjectKey>;
}

export interface SweepOptions {
  readonly client: KubeClient;
  readonly vault: ReigningVault;
  readonly cluster: string;
  readonly release: string;
  readonly metrics: SweepMetrics;
  readonly log: Pick<Log, "warn" | "error">;
  readonly events: Pick<EventRecorder, "record">;
  /** The objects of a kind. */
  kind(kind: ManagedKind): SweptKind;
}

/** Finds rows whose resource went without its finalizer, and soft-deletes them. */
export interface Sweep {
  /** To be told when a complete list was read, or an object went that was not released. */
  due(): void;
  /** One turn: sweeps where it is due, or was stopped and is confirmed now. Rejects with a `kube_*` or `database_*` error. */
  turn(signal: AbortSignal): Promise<void>;
  /** Looks at one row at once, which is in somebody's way. True when its resource was gone and it was deleted. */
  remove(row: ManagedRow, signal: AbortSignal): Promise<boolean>;
}

/** Orphans of one turn; more wait for the next, so that memory holds a bounded number. */
const MOST = 5_000;

/** Orphans that are proven at a time, with one question for what the API server serves. */
const CHUNK = 50;

/** Environments that are told of a stop, so that they crowd out no other events. */
const MOST_EVENTS = 50;

const ACTOR: Actor = { kind: "system", name: "orphan-sweep" };

const KINDS = {
  environment: { resource: ENVIRONMENT, softDelete: softDeleteEnvironment },
  integration: { resource: INTEGRATION, softDelete: softDeleteIntegration },
  connection: { resource: CONNECTION, softDelete: softDeleteConnection },
} as const;

/**
 * Only rows of this cluster and release, in namespaces whose list is complete, and only where a live GET finds the resource
 * gone (`onlyGone`). What is created during a sweep is found by that GET; a row that was claimed or restored meanwhile is
 * looked at again before it goes. Each row is soft-deleted as by its own deletion, so a mistake can be restored.
 */
export function createSweep(options: SweepOptions): Sweep {
  const { vault, cluster, release, metrics, log } = options;
  let isDue = false;
  let isStopped = false;

  async function sweep(signal: AbortSignal): Promise<void> {
    const { orphans, count, managed } = await findOrphans(options);
    const stopped = await findStoppedSweep(vault, { cluster, release });
    const verdict = judgeSweep({ orphans: count, managed, confirmed: stopped?.confirmed_at ? stopped.orphans : 0 });
    isStopped = verdict === "stop";
    metrics.found(count, isStopped);
    if (verdict === "stop") {
      await stopSweep(vault, { cluster, release, orphans: count, managed });
      const known = stopped?.orphans === count && stopped.managed === managed;
      const found = { orphans: count, managed, cluster, release };
      if (known) return;
      log.error(found, "too many resources are missing at once: nothing is deleted until it is confirmed");
      tellStopped(options, orphans, found);
      return;
    }
    let deleted = 0;
    for (let start = 0; start < orphans.length; start += CHUNK) {
      if (signal.aborted) return;
      for (const row of await proven(orphans.slice(start, start + CHUNK), signal))
        if (await softDelete(row)) deleted += 1;
    }
    // What was not proven is tried again with the next list. A confirmation ends here, so that it holds for no others.
    if (count > orphans.length && deleted > 0) isDue = true;
    else if (stopped) await clearStoppedSweep(vault, { cluster, release });
  }

  async function proven(rows: readonly ManagedRow[], signal: AbortSignal): Promise<ManagedRow[]> {
    const gone = await onlyGone(options.client, rows.map(missingObject), signal);
    return gone.map(({ row }) => row);
  }

  async function softDelete(row: ManagedRow): Promise<boolean> {
    if (!(await isStillManaged(vault, row))) return false;
    const deleted = await KINDS[row.kind].softDelete(vault, row.owner_uid, ACTOR);
    if (!deleted) return false;
    metrics.deleted();
    const { kind, id, owner_namespace: namespace, owner_name: name } = row;
    log.warn({ kind, id, namespace, name }, "a resource went without its finalizer; its row can be restored by the id");
    return true;
  }

  return {
    due() {
      isDue = true;
    },
    async turn(signal) {
      if (isStopped && !isDue) {
        const stopped = await findStoppedSweep(vault, { cluster, release });
        if (stopped?.confirmed_at) isDue = true;
      }
      if (!isDue) return;
      isDue = false;
      try {
        await sweep(signal);
      } catch (thrown) {
        isDue = true;
        throw thrown;
      }
    },
    async remove(row, signal) {
      if (isListed(options, row)) return false;
      const [gone] = await proven([row], signal);
      return gone !== undefined && (await softDelete(gone));
    },
  };
}

/** On Environments of the namespaces where resources are missing, as far as any are left: people look there first. */
function tellStopped(
  { events, kind }: Pick<SweepOptions, "events" | "kind">,
  orphans: readonly ManagedRow[],
  { orphans: count, managed }: { readonly orphans: number; readonly managed: number },
): void {
  const namespaces = new Set(orphans.map(({ owner_namespace: namespace }) => namespace));
  const environments = kind("environment");
  let left = MOST_EVENTS;
  for (const key of environments.keys()) {
    const { namespace, name } = splitKey(key);
    const uid = environments.uidOf(key);
    if (uid === undefined || !namespaces.has(namespace)) continue;
    if (left === 0) return;
    left -= 1;
    events.record(
      { apiVersion: apiVersionOf(ENVIRONMENT), kind: ENVIRONMENT.kind, metadata: { namespace, name, uid } },
      {
        type: "Warning",
        reason: "OrphanSweepStopped",
        action: "Sweep",
        note: `The resources of ${count} of ${managed} stored rows are missing, some of them in this namespace, and nothing was deleted. If that is as it should be, run keystead admin sweep --confirm.`,
      },
    );
  }
}

/** Rows whose resource is in no list: at most as many as a turn takes, and how many there are. */
async function findOrphans(
  options: SweepOptions,
): Promise<{ orphans: readonly ManagedRow[]; count: number; managed: number }> {
  const orphans: ManagedRow[] = [];
  let count = 0;
  let managed = 0;
  for await (const page of managedRows(options.vault, options)) {
    managed += page.length;
    for (const row of page) {
      if (isListed(options, row)) continue;
      count += 1;
      if (orphans.length < MOST) orphans.push(row);
    }
  }
  return { orphans, count, managed };
}

/** Whether the resource is there, or nothing can be said about its namespace. */
function isListed(options: Pick<SweepOptions, "kind">, row: ManagedRow): boolean {
  const listed = options.kind(row.kind);
  if (!listed.covers(row.owner_namespace)) return true;
  return listed.uidOf(objectKey(row.owner_namespace, row.owner_name)) === row.owner_uid;
}

function missingObject(row: ManagedRow): {
  readonly row: ManagedRow;
  readonly kind: ResourceKind;
  readonly namespace: string;
  readonly name: string;
  readonly uid: string;
} {
  return {
    row,
    kind: KINDS[row.kind].resource,
    namespace: row.owner_namespace,
    name: row.owner_name,
    uid: row.owner_uid,
  };
}
