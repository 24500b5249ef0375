import type { KubeLog } from "./log.ts";
import type { KubeObject, ObjectKey } from "./object.ts";
import { keyOf } from "./object.ts";

/** Hears what happens to the objects of a kind. Only enqueues: it runs between two frames of the watch. */
export interface ReflectorHandler<T> {
  /** `before` is undefined for an object not held so far. `initial` while the first list is read. */
  changed(key: ObjectKey, now: T, before: T | undefined, initial: boolean): void;
  /**
   * With the last state known, also when the deletion itself was missed and a list no longer has the object. An object
   * that was not held is told too if it would be held by now.
   */
  deleted(key: ObjectKey, last: T): void;
  /** A complete list has been read: the first, or another after an interruption. Must not throw. */
  listed?(): void;
}

/** What a reflector knows, and the calls to its handler. */
export interface ReflectorStore<T> {
  readonly entries: ReadonlyMap<ObjectKey, { readonly value: T }>;
  apply(object: KubeObject, initial: boolean): void;
  /** Holds an object that was read in another way, unless a state of it is known. Nobody is told. */
  adopt(object: KubeObject): void;
  remove(object: KubeObject): void;
  /** A complete list has been applied, and held exactly `seen`: the others are gone. */
  retain(seen: ReadonlySet<ObjectKey>): void;
  /** Gives the handler once more what it threw on. */
  redeliver(): void;
}

interface Entry<T> {
  readonly value: T;
  readonly resourceVersion: string;
  readonly uid: string;
}

/**
 * A handler that throws stops nobody: the store has the new state already, the error is logged, and the notice is given
 * again at the next bookmark (about once a minute) until it passes or is overtaken by a newer one for the same object.
 * When `keep` throws, what was held of the object so far stays.
 */
export function createReflectorStore<T>(
  keep: (object: KubeObject) => T | undefined,
  handler: ReflectorHandler<T>,
  log: KubeLog,
): ReflectorStore<T> {
  const entries = new Map<ObjectKey, Entry<T>>();
  const undelivered = new Map<ObjectKey, () => void>();

  const deliver = (key: ObjectKey, notice: () => void): void => {
    try {
      notice();
      undelivered.delete(key);
    } catch (error) {
      log.error({ err: error, key }, "A watch handler threw; the notice is given again with the next bookmark");
      undelivered.set(key, notice);
    }
  };

  const drop = (key: ObjectKey, last: T): void => {
    entries.delete(key);
    deliver(key, () => handler.deleted(key, last));
  };

  const reduce = (key: ObjectKey, object: KubeObject): { value: T | undefined } | undefined => {
    try {
      return { value: keep(object) };
    } catch (error) {
      log.error({ err: error, key }, "An object could not be read and was left as it was known");
      return undefined;
    }
  };

  return {
    entries,
    apply(object, initial) {
      const key = keyOf(object);
      const known = entries.get(key);
      const { uid, resourceVersion } = object.metadata;
      // A list after an interruption brings mostly what is known: no work follows from it.
      if (known?.resourceVersion === resourceVersion) return;
      const reduced = reduce(key, object);
      if (reduced === undefined) return;
      const { value } = reduced;
      if (known !== undefined && (value === undefined || known.uid !== uid)) drop(key, known.value);
      if (value === undefined) return;
      const before = known?.uid === uid ? known.value : undefined;
      entries.set(key, { value, resourceVersion, uid });
      deliver(key, () => handler.changed(key, value, before, initial));
    },
    adopt(object) {
      const key = keyOf(object);
      const value = entries.has(key) ? undefined : reduce(key, object)?.value;
      const { uid, resourceVersion } = object.metadata;
      if (value !== undefined) entries.set(key, { value, resourceVersion, uid });
    },
    remove(object) {
      const key = keyOf(object);
      const last = entries.get(key)?.value ?? reduce(key, object)?.value;
      if (last !== undefined) drop(key, last);
    },
    retain(seen) {
      for (const [key, entry] of entries) {
        if (!seen.has(key)) drop(key, entry.value);
      }
    },
    redeliver() {
      for (const [key, notice] of undelivered) deliver(key, notice);
    },
  };
}
