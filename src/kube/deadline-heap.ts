/** Keys with the time at which each is due. */
export interface DeadlineHeap<K> {
  /** An earlier time wins over a later one; a later one for a key that has one is ignored. */
  set(key: K, at: number): void;
  delete(key: K): void;
  /** Time of the key that is due first. */
  nextAt(): number | undefined;
  /** Takes one key that is due at `now`. */
  takeDue(now: number): K | undefined;
  readonly size: number;
}

interface Entry<K> {
  readonly key: K;
  readonly at: number;
}

/** Below this a rebuild is not worth its while. */
const REBUILD_FROM = 64;

/**
 * Binary heap, so that any number of waiting keys needs one timer. Entries that were moved or deleted stay in the heap until
 * they come up, or until they are more than half of it: a key that is set again a thousand times a second leaves no pile.
 */
export function createDeadlineHeap<K>(): DeadlineHeap<K> {
  let heap: Entry<K>[] = [];
  const dueAt = new Map<K, number>();

  const isCurrent = (entry: Entry<K>): boolean => dueAt.get(entry.key) === entry.at;

  const swap = (one: number, other: number): void => {
    const [a, b] = [heap[one], heap[other]];
    if (a === undefined || b === undefined) return;
    heap[one] = b;
    heap[other] = a;
  };

  const timeAt = (index: number): number => heap[index]?.at ?? Number.POSITIVE_INFINITY;

  const siftUp = (start: number): void => {
    for (let index = start; index > 0;) {
      const parent = (index - 1) >> 1;
      if (timeAt(parent) <= timeAt(index)) return;
      swap(parent, index);
      index = parent;
    }
  };

  const siftDown = (start: number): void => {
    for (let index = start; ;) {
      const left = 2 * index + 1;
      const smaller = timeAt(left + 1) < timeAt(left) ? left + 1 : left;
      if (timeAt(index) <= timeAt(smaller)) return;
      swap(index, smaller);
      index = smaller;
    }
  };

  const rebuild = (): void => {
    // Sorted by time, which is a heap.
    heap = [...dueAt].map(([key, at]) => ({ key, at })).toSorted((one, other) => one.at - other.at);
  };

  const pop = (): void => {
    const last = heap.pop();
    if (last === undefined || heap.length === 0) return;
    heap[0] = last;
    siftDown(0);
  };

  /** The first entry that still counts. */
  const first = (): Entry<K> | undefined => {
    while (heap[0] !== undefined && !isCurrent(heap[0])) pop();
    return heap[0];
  };

  return {
    set(key, at) {
      const known = dueAt.get(key);
      if (known !== undefined && known <= at) return;
      dueAt.set(key, at);
      if (heap.length >= REBUILD_FROM && heap.length > 2 * dueAt.size) rebuild();
      else siftUp(heap.push({ key, at }) - 1);
    },
    delete: (key) => void dueAt.delete(key),
    nextAt: () => first()?.at,
    takeDue(now) {
      const entry = first();
      if (entry === undefined || entry.at > now) return undefined;
      dueAt.delete(entry.key);
      pop();
      return entry.key;
    },
    get size() {
      return dueAt.size;
    },
  };
}
