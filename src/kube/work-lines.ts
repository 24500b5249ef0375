/** `changed` is what somebody waits for; `resync` is what merely has to be looked at some time. */
export type WorkPriority = "changed" | "resync";

/** What the lines need to know of an item. Only they write `waiting`. */
export interface Waiting {
  /** The line it stands in. */
  waiting: WorkPriority | undefined;
}

/** Two waiting lines, first come first served within each. */
export interface WorkLines<Item extends Waiting> {
  /** Puts the item at the end of a line. One that waits already stays, unless it now moves up from `resync` to `changed`. */
  push(item: Item, priority: WorkPriority): void;
  /** The next item and the line it came from, `resync` only if that is allowed. */
  take(resyncAllowed: boolean): { readonly item: Item; readonly priority: WorkPriority } | undefined;
  depth(priority: WorkPriority): number;
  clear(): void;
}

/** Of so many items taken, one comes from `resync` while both lines have some: an endless stream of changes starves nothing. */
const RESYNC_EACH = 16;

/** Both lines empty. */
export function createWorkLines<Item extends Waiting>(): WorkLines<Item> {
  const lines = { changed: createLine<Item>(), resync: createLine<Item>() };
  const depths = { changed: 0, resync: 0 };
  let taken = 0;

  const takeFrom = (priority: WorkPriority) => {
    // An item that moved up left its old place behind; it no longer counts there.
    for (let item = lines[priority].shift(); item !== undefined; item = lines[priority].shift()) {
      if (item.waiting !== priority) continue;
      item.waiting = undefined;
      depths[priority] -= 1;
      return { item, priority };
    }
    return undefined;
  };

  return {
    push(item, priority) {
      if (item.waiting === "changed" || item.waiting === priority) return;
      if (item.waiting !== undefined) depths[item.waiting] -= 1;
      item.waiting = priority;
      depths[priority] += 1;
      lines[priority].push(item);
    },
    take(resyncAllowed) {
      if (depths.changed === 0 && (depths.resync === 0 || !resyncAllowed)) return undefined;
      taken += 1;
      const resyncFirst = resyncAllowed && depths.resync > 0 && taken % RESYNC_EACH === 0;
      if (resyncFirst || depths.changed === 0) return takeFrom("resync");
      return takeFrom("changed");
    },
    depth: (priority) => depths[priority],
    clear() {
      while (depths.changed > 0) takeFrom("changed");
      while (depths.resync > 0) takeFrom("resync");
    },
  };
}

interface Line<Item> {
  push(item: Item): void;
  shift(): Item | undefined;
}

/** Array with a moving head: `Array.shift` moves everything behind it, which tens of thousands of items would feel. */
function createLine<Item>(): Line<Item> {
  let items: Item[] = [];
  let head = 0;
  return {
    push: (item) => void items.push(item),
    shift() {
      const item = items[head];
      if (item === undefined) return undefined;
      head += 1;
      if (head === items.length || (head >= 1_024 && head * 2 >= items.length)) {
        items = items.slice(head);
        head = 0;
      }
      return item;
    },
  };
}
