/** Items that wait, in groups that take turns. */
export interface FairQueue<Item extends object> {
  readonly size: number;
  push(group: string, item: Item): void;
  /** Removes up to `count` items: one of each group in turn, those of a group in the order they came. */
  take(count: number): Item[];
}

/** However many items of one group wait, an item of another waits for no more than one of each group. */
export function createFairQueue<Item extends object>(): FairQueue<Item> {
  /** The group whose turn is next stands first. */
  const lines = new Map<string, Item[]>();
  let size = 0;
  return {
    get size() {
      return size;
    },
    push(group, item) {
      size += 1;
      const line = lines.get(group);
      if (line) line.push(item);
      else lines.set(group, [item]);
    },
    take(count) {
      const taken: Item[] = [];
      // A group that is put back comes up again after all others: a map goes on to what was added meanwhile.
      for (const [group, line] of lines) {
        if (taken.length === count) break;
        lines.delete(group);
        const first = line.shift();
        if (first !== undefined) taken.push(first);
        if (line.length > 0) lines.set(group, line);
      }
      size -= taken.length;
      return taken;
    },
  };
}
