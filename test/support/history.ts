import { startReflector } from "../../src/kube/reflector.ts";
import type { KubeClient } from "../../src/kube/client.ts";
import { KINDS, type Reference } from "./cluster.ts";
import type { Observed } from "./resources.ts";

/** Every version of our resources in a namespace, as a watch shows them one after the other. */
export interface History extends AsyncDisposable {
  /** Versions of the object with that name now or at last, oldest first. The watch may be some milliseconds behind. */
  of(reference: Reference): readonly Observed[];
  /** Versions by uid: those of two objects that had one name after the other do not mix. */
  readonly byUid: ReadonlyMap<string, readonly Observed[]>;
  /** All versions of all objects. */
  readonly count: number;
  /** Resolves with the event that brings the count there, so without the delay of polling. */
  reached(count: number): Promise<void>;
}

/** Records from now on. */
export async function recordHistory(client: KubeClient, namespace: string): Promise<History> {
  const byUid = new Map<string, Observed[]>();
  const uids = new Map<Reference, string>();
  const waiting = new Set<{ readonly count: number; readonly resolve: () => void }>();
  let count = 0;
  const kinds = ["environment", "integration", "connection"] as const;
  const watches = kinds.map((kind) =>
    startReflector<Observed>({
      client,
      kind: KINDS[kind],
      namespace,
      // What is read here is a subset of what a KubeObject promises, but for the exact shape of its status.
      keep: (object) => object as Observed,
      handler: {
        changed(_key, now) {
          const { uid, name } = now.metadata;
          uids.set(`${kind}/${name}`, uid);
          byUid.set(uid, [...(byUid.get(uid) ?? []), now]);
          count += 1;
          for (const one of waiting) if (count >= one.count) one.resolve();
        },
        deleted: () => undefined,
      },
    }),
  );
  await Promise.all(watches.map((watch) => watch.synced));
  return {
    of: (reference) => byUid.get(uids.get(reference) ?? "") ?? [],
    byUid,
    get count() {
      return count;
    },
    reached(wanted) {
      if (count >= wanted) return Promise.resolve();
      return new Promise((resolve) => waiting.add({ count: wanted, resolve }));
    },
    async [Symbol.asyncDispose]() {
      await Promise.all(watches.map((watch) => watch[Symbol.asyncDispose]()));
    },
  };
}
