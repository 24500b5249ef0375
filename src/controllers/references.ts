/**
 * Which resources refer to which object, both as opaque keys. An event on the object then finds its referrers without
 * a list. Most objects have one referrer, so one is held as the bare key and only more than one as a set: 10,000
 * Connections with a Secret each cost about a megabyte.
 */
export interface ReferenceIndex {
  /** Replaces what `owner` referred to (`before`) by `now`. Both may be empty. */
  update(owner: string, before: readonly string[], now: readonly string[]): void;
  ownersOf(target: string): Iterable<string>;
  has(target: string): boolean;
  /** How many owners refer to the target. */
  count(target: string): number;
  /** Every target with more than one owner, and its owners. */
  shared(): Iterable<readonly [target: string, owners: ReadonlySet<string>]>;
}

export function createReferenceIndex(): ReferenceIndex {
  const owners = new Map<string, string | Set<string>>();

  function add(target: string, owner: string): void {
    const held = owners.get(target);
    if (held === undefined || held === owner) owners.set(target, owner);
    else if (typeof held === "string") owners.set(target, new Set([held, owner]));
    else held.add(owner);
  }

  function remove(target: string, owner: string): void {
    const held = owners.get(target);
    if (held === owner) owners.delete(target);
    else if (typeof held === "object") {
      held.delete(owner);
      if (held.size === 0) owners.delete(target);
    }
  }

  return {
    update(owner, before, now) {
      for (const target of before) if (!now.includes(target)) remove(target, owner);
      for (const target of now) add(target, owner);
    },
    ownersOf(target) {
      const held = owners.get(target);
      if (held === undefined) return [];
      return typeof held === "string" ? [held] : held;
    },
    has: (target) => owners.has(target),
    count(target) {
      const held = owners.get(target);
      return typeof held === "object" ? held.size : Number(held !== undefined);
    },
    *shared() {
      for (const [target, held] of owners) if (typeof held === "object" && held.size > 1) yield [target, held];
    },
  };
}
