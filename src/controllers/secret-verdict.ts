import type { KubeSecret, OwnerReference } from "../kube/object.ts";
import { type Outcome, stalled } from "./outcome.ts";

/** What the Secret of an Environment has to hold; values are plain text here and base64 in the object. */
export interface DesiredSecret {
  readonly namespace: string;
  readonly name: string;
  readonly owner: OwnerReference;
  /** Others may stand beside them. */
  readonly labels: Readonly<Record<string, string>>;
  readonly data: Readonly<Record<string, string>>;
}

/** The part of a merge patch that sets the Secret right; what is right already is left out. */
interface SecretPatch {
  readonly labels?: Readonly<Record<string, string>>;
  readonly data?: Readonly<Record<string, string | null>>;
}

type Verdict =
  | { readonly kind: "create" }
  | { readonly kind: "equal" }
  | { readonly kind: "patch"; readonly patch: SecretPatch }
  | { readonly kind: "refused"; readonly outcome: Outcome };

/** Decides what has to happen to the Secret, from what stands there now. A Secret that is not ours is never touched. */
export function judgeSecret(existing: KubeSecret | undefined, desired: DesiredSecret): Verdict {
  if (!existing) return { kind: "create" };
  const owned = existing.metadata.ownerReferences?.some(
    (one) => one.controller === true && one.uid === desired.owner.uid,
  );
  if (!owned) {
    return {
      kind: "refused",
      outcome: stalled(
        "SecretNotOwned",
        `Secret ${desired.name} exists and was not made for this Environment, so it is left alone. Delete it, or choose another name in spec.secretName.`,
      ),
    };
  }
  const data = differences(existing.data ?? {}, desired.data);
  const labelled = Object.entries(desired.labels).every(([name, value]) => existing.metadata.labels?.[name] === value);
  if (data && existing.immutable === true) {
    return {
      kind: "refused",
      outcome: stalled(
        "SecretImmutable",
        `Secret ${desired.name} is immutable and does not hold the Environment's current keys. Delete it; it is written anew at once.`,
      ),
    };
  }
  if (!data && labelled) return { kind: "equal" };
  return { kind: "patch", patch: { ...(!labelled && { labels: desired.labels }), ...(data && { data }) } };
}

/** The keys to write, with `null` for those to remove; undefined where nothing differs. */
function differences(
  existing: Readonly<Record<string, string>>,
  desired: Readonly<Record<string, string>>,
): Record<string, string | null> | undefined {
  const changed: Record<string, string | null> = {};
  for (const key of Object.keys(existing)) if (!Object.hasOwn(desired, key)) changed[key] = null;
  for (const [key, value] of Object.entries(desired)) {
    const encoded = Buffer.from(value).toString("base64");
    if (existing[key] !== encoded) changed[key] = encoded;
  }
  return Object.keys(changed).length === 0 ? undefined : changed;
}
