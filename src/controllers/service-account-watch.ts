import type { ObjectKey } from "../kube/object.ts";
import { SERVICE_ACCOUNT } from "../kube/resource-path.ts";
import type { FollowOptions } from "./follow.ts";
import { targetKey } from "./targets.ts";
import { type Watched, watchKind } from "./watch.ts";

/** Which ServiceAccounts are alive. */
export interface ServiceAccountWatch extends AsyncDisposable {
  /** Undefined for one that does not exist. */
  uidOf(key: ObjectKey): string | undefined;
  /** Resolves when all of them are known. */
  readonly synced: Promise<void>;
  unhealthy(now: number): string | undefined;
  /** See `Watched`. */
  unready(now: number): string | undefined;
}

type ServiceAccountWatchOptions = Pick<FollowOptions, "client" | "namespaces" | "metrics" | "log"> & {
  /** One appeared, was made anew, or went. */
  readonly wake: (target: string) => void;
};

/**
 * Watches ServiceAccounts as metadata, and keeps the uid of each: an Environment may name any of its namespace at any time,
 * and 10,000 of them are a megabyte.
 */
export function createServiceAccountWatch({
  wake,
  metrics,
  ...options
}: ServiceAccountWatchOptions): ServiceAccountWatch {
  const heard = (key: ObjectKey): void => wake(targetKey("ServiceAccount", key));
  const watched: Watched<string> = watchKind<string>({
    ...options,
    kind: SERVICE_ACCOUNT,
    metadataOnly: true,
    metrics: metrics.reflector,
    // One that is being deleted is not alive any more, whatever finalizers it has.
    keep: ({ metadata: { uid, deletionTimestamp } }) => (deletionTimestamp === undefined ? uid : undefined),
    handler: {
      changed(key, now, before, initial) {
        // What lists one of the first list has its pass in the catch-up.
        if (!initial && now !== before) heard(key);
      },
      deleted: heard,
    },
  });
  return {
    uidOf: (key) => watched.get(key),
    synced: watched.synced,
    unhealthy: (now) => watched.unhealthy(now),
    unready: (now) => watched.unready(now),
    [Symbol.asyncDispose]: () => watched[Symbol.asyncDispose](),
  };
}
