import type { ObjectKey } from "../kube/object.ts";
import type { ReferenceIndex } from "./references.ts";
import { type KeysteadResource, splitTarget } from "./targets.ts";

/**
 * The objects of a kind with those that share a Secret next to each other, so that few payloads have to be held at one
 * time. Of several Secrets the one with the fewest referrers decides: one that all have in common is held throughout. Pure.
 */
export function catchUpOrder(
  kind: KeysteadResource["kind"],
  keys: Iterable<ObjectKey>,
  references: Pick<ReferenceIndex, "shared">,
): ObjectKey[] {
  const secrets = [...references.shared()].filter(([target]) => splitTarget(target).kind === "Secret");
  const ordered = new Set<ObjectKey>();
  for (const [, owners] of secrets.toSorted(([, some], [, others]) => some.size - others.size)) {
    for (const owner of owners) {
      const { kind: ownerKind, key } = splitTarget(owner);
      if (ownerKind === kind) ordered.add(key);
    }
  }
  for (const key of keys) ordered.add(key);
  return [...ordered];
}
