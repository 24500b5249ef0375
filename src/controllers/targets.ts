import { isDeepStrictEqual } from "node:util";
import { type ObjectKey, objectKey } from "../kube/object.ts";
import type { Connection } from "../resources/connection.ts";
import { type Environment, writtenNamesOf } from "../resources/environment.ts";
import type { Integration } from "../resources/integration.ts";
import type { Parsed } from "../resources/parse.ts";
import { secretNamesOf } from "../resources/secret-refs.ts";
import { FINALIZER } from "./metadata-names.ts";

export type KeysteadResource = Environment | Integration | Connection;
type TargetKind = KeysteadResource["kind"] | "Secret" | "ServiceAccount";

/** An object of any kind, as the reference index names it. */
export function targetKey(kind: TargetKind, key: ObjectKey): string {
  return `${kind} ${key}`;
}

/** The parts of such a name. */
export function splitTarget(target: string): { kind: string; key: ObjectKey } {
  const blank = target.indexOf(" ");
  const slash = target.indexOf("/", blank);
  return { kind: target.slice(0, blank), key: objectKey(target.slice(blank + 1, slash), target.slice(slash + 1)) };
}

/** Everything whose appearance, change or loss means another pass over a resource: what it refers to, and the Secret it writes. */
export function targetsOf(parsed: Parsed<KeysteadResource> | undefined): readonly string[] {
  if (!parsed?.ok) return [];
  const resource = parsed.value;
  const { namespace } = resource.metadata;
  const named = (kind: TargetKind, name: string): string => targetKey(kind, objectKey(namespace, name));
  const secrets = secretNamesOf(resource).map((name) => named("Secret", name));
  switch (resource.kind) {
    case "Environment":
      return [
        ...secrets,
        ...writtenNamesOf(resource).map((name) => named("Secret", name)),
        ...(resource.spec.serviceAccounts ?? []).map(({ name }) => named("ServiceAccount", name)),
        ...(resource.spec.adopt ? [named("Secret", resource.spec.adopt.secretKeyRef.name)] : []),
      ];
    case "Integration":
      return [...secrets, named("Environment", resource.spec.environmentRef.name)];
    case "Connection":
      return [
        ...secrets,
        named("Environment", resource.spec.environmentRef.name),
        named("Integration", resource.spec.integrationRef.name),
      ];
  }
}

type Held = Pick<Parsed<KeysteadResource>["value"], "metadata">;

/**
 * Whether a change of a resource can mean anything to its reconcile. A write of our own status or finalizer does not, so
 * it costs no second pass.
 */
export function asksForPass(before: Held, now: Held): boolean {
  const { uid, generation, deletionTimestamp, labels, annotations, finalizers } = now.metadata;
  return (
    before.metadata.uid !== uid ||
    before.metadata.generation !== generation ||
    before.metadata.deletionTimestamp !== deletionTimestamp ||
    (before.metadata.finalizers.includes(FINALIZER) && !finalizers.includes(FINALIZER)) ||
    !isDeepStrictEqual(before.metadata.labels, labels) ||
    !isDeepStrictEqual(before.metadata.annotations, annotations)
  );
}

/**
 * Whether those that refer to a resource have to look at it again: another one under its name, a deletion, or an edit of
 * an Integration, which may let others in or take another kind of credential. Nothing of an Environment's spec is theirs.
 */
export function concernsDependents(kind: KeysteadResource["kind"], before: Held | undefined, now: Held): boolean {
  return (
    before?.metadata.uid !== now.metadata.uid ||
    before.metadata.deletionTimestamp !== now.metadata.deletionTimestamp ||
    (kind === "Integration" && before.metadata.generation !== now.metadata.generation)
  );
}
