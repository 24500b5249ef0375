import { type ObjectKey, objectKey } from "../kube/object.ts";
import { SECRET } from "../kube/resource-path.ts";
import type { FollowOptions } from "./follow.ts";
import { createSecrets, type Secrets, type SecretVersion } from "./secrets.ts";
import { targetKey } from "./targets.ts";
import { type Watched, watchKind } from "./watch.ts";

/** What the controller knows of Secrets, and the watch that keeps it true. */
export interface SecretWatch extends AsyncDisposable {
  readonly secrets: Secrets;
  /**
   * Starts the watch and resolves when its first list is complete. To be called once the resources are known: only what
   * one of them refers to is kept, so memory does not grow with the Secrets of the cluster.
   */
  start(): Promise<void>;
  unhealthy(now: number): string | undefined;
  /** See `Watched`. */
  unready(now: number): string | undefined;
}

type SecretWatchOptions = Pick<FollowOptions, "client" | "namespaces" | "references" | "metrics" | "log"> & {
  /** A Secret that is referred to appeared, changed or went. */
  readonly wake: (target: string) => void;
};

/** Watches Secrets as metadata: identity and version, never a payload. */
export function createSecretWatch({ references, wake, metrics, ...options }: SecretWatchOptions): SecretWatch {
  let watched: Watched<SecretVersion> | undefined;
  const secrets = createSecrets(options.client, {
    version: (key) => watched?.get(key),
    adopt: (secret) => watched?.adopt(secret),
    referrers: (key) => references.count(targetKey("Secret", key)),
  });

  function heard(key: ObjectKey): void {
    secrets.changed(key);
    wake(targetKey("Secret", key));
  }

  return {
    secrets,
    async start() {
      watched = watchKind<SecretVersion>({
        ...options,
        kind: SECRET,
        metadataOnly: true,
        metrics: metrics.reflector,
        keep({ metadata: { namespace = "", name, uid, resourceVersion } }) {
          return references.has(targetKey("Secret", objectKey(namespace, name))) ? { uid, resourceVersion } : undefined;
        },
        handler: {
          changed(key, _now, _before, initial) {
            // What refers to a Secret of the first list has its pass in the catch-up.
            if (initial) secrets.changed(key);
            else heard(key);
          },
          deleted: heard,
        },
      });
      await watched.synced;
    },
    unhealthy: (now) => watched?.unhealthy(now),
    unready: (now) => (watched ? watched.unready(now) : "secrets have not been listed yet"),
    async [Symbol.asyncDispose]() {
      await watched?.[Symbol.asyncDispose]();
    },
  };
}
