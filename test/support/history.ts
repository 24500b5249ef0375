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
}

/** Records from now on. */
export async function recordHistory(client: KubeClient, namespace: string): Promise<History> {
  const byUid = new Map<string, Observed[]>();
  const uids = new Map<Reference, string>();
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
        },
        deleted: () => undefined,
      },
    }),
  );
  await Promise.all(watches.map((watch) => watch.synced));
  return {
    of: (reference) => byUid.get(uids.get(reference) ?? "") ?? [],
    byUid,
    async [Symbol.asyncDispose]() {
      await Promise.all(watches.map((watch) => watch[Symbol.asyncDispose]()));
    },
  };
}
