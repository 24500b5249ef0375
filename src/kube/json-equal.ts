/**
 * Whether two values are the same JSON: order of keys does not count, and a key that is undefined counts as absent, because
 * that is what it becomes on the wire.
 */
export function jsonEqual(one: unknown, other: unknown): boolean {
  if (one === other) return true;
  if (typeof one !== "object" || typeof other !== "object" || one === null || other === null) return false;
  if (Array.isArray(one) || Array.isArray(other)) {
    if (!Array.isArray(one) || !Array.isArray(other) || one.length !== other.length) return false;
    return one.every((value, index) => jsonEqual(value, other[index]));
  }
  const left = new Map<string, unknown>(Object.entries(one).filter(([, value]) => value !== undefined));
  const right = Object.entries(other).filter(([, value]) => value !== undefined);
  return left.size === right.length && right.every(([key, value]) => left.has(key) && jsonEqual(left.get(key), value));
}
