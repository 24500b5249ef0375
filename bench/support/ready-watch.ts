import { KeysteadError } from "../../src/errors.ts";
import type { KubeClient } from "../../src/kube/client.ts";
import { objectKey, type ObjectKey } from "../../src/kube/object.ts";
import { startReflector } from "../../src/kube/reflector.ts";
import { CONNECTION } from "../../src/resources/kinds.ts";
import { isReady } from "./population.ts";

/** Sees when Connections of one namespace become Ready, by a watch as `kubectl wait` has it. */
export interface ReadyWatch extends AsyncDisposable {
  /** Resolves with the `performance.now()` at which the Connection was seen Ready. Throws `part_failed` after a minute. */
  whenReady(name: string): Promise<number>;
}

const PATIENCE_MS = 60_000;

export async function watchReady(client: KubeClient, namespace: string): Promise<ReadyWatch> {
  const readyAt = new Map<ObjectKey, number>();
  const waiting = new Map<ObjectKey, (at: number) => void>();
  const reflector = startReflector<boolean>({
    client,
    kind: CONNECTION,
    namespace,
    keep: isReady,
    handler: {
      changed(key, ready) {
        if (!ready || readyAt.has(key)) return;
        const at = performance.now();
        readyAt.set(key, at);
        waiting.get(key)?.(at);
      },
      deleted: (key) => void readyAt.delete(key),
    },
  });
  await reflector.synced;
  return {
    whenReady(name) {
      const key = objectKey(namespace, name);
      const at = readyAt.get(key);
      if (at !== undefined) return Promise.resolve(at);
      const { promise, resolve, reject } = Promise.withResolvers<number>();
      const late = new KeysteadError("part_failed", `Connection ${name} was not Ready within ${PATIENCE_MS / 1_000} s`);
      const timer = setTimeout(() => reject(late), PATIENCE_MS);
      waiting.set(key, (seenAt) => {
        clearTimeout(timer);
        resolve(seenAt);
      });
      return promise;
    },
    [Symbol.asyncDispose]: () => reflector[Symbol.asyncDispose](),
  };
}
