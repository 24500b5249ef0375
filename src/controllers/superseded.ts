import { type ObjectKey, objectKey } from "../kube/object.ts";
import type { Vault } from "../vault/context.ts";
import { listSuperseded } from "../vault/superseded-owners.ts";

interface SupersededOptions {
  readonly vault: Pick<Vault, "database">;
  readonly cluster: string;
  readonly release: string;
  /** uid of the Environment of that name, as the watch shows it. */
  uidOf(key: ObjectKey): string | undefined;
  /** Asks for a pass over that Environment. */
  wake(key: ObjectKey): void;
}

/**
 * Notices Environments that another cluster took over: nothing in this one tells of it. Each turn is one query for a handful
 * of rows, and wakes each resource once.
 */
export function createSupersededWatch(options: SupersededOptions): { turn(): Promise<void> } {
  const told = new Set<string>();
  return {
    async turn() {
      for (const { uid, namespace, name } of await listSuperseded(options.vault, options)) {
        const key = objectKey(namespace, name);
        if (told.has(uid) || options.uidOf(key) !== uid) continue;
        told.add(uid);
        options.wake(key);
      }
    },
  };
}
