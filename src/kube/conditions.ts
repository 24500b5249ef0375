/** `Unknown` is neither: not looked at yet, as opposed to known to be wrong. */
export type ConditionStatus = "True" | "False" | "Unknown";

/** A condition as `metav1.Condition` has it. */
export interface Condition {
  readonly type: string;
  readonly status: ConditionStatus;
  /** CamelCase word that machines look at. */
  readonly reason: string;
  /** Sentence for people: no timestamps, counters or secrets, or every reconcile would be a change. */
  readonly message: string;
  /** RFC 3339 with seconds. */
  readonly lastTransitionTime: string;
  readonly observedGeneration?: number | undefined;
}

/** A condition to store. Without `observedGeneration` it speaks of the generation that is being dealt with. */
export type WantedCondition = Pick<Condition, "type" | "status" | "reason" | "message" | "observedGeneration">;

/**
 * The conditions to store: exactly the wanted ones in the wanted order, so that a type which is no longer wanted goes.
 * `lastTransitionTime` moves only with `status`, as the Kubernetes API conventions ask; a new reason alone leaves it.
 * Returns `before` itself when nothing differs.
 */
export function mergeConditions(
  before: readonly Condition[] | undefined,
  wanted: readonly WantedCondition[],
  now: Date,
  generation: number,
): readonly Condition[] {
  const known = before ?? [];
  const merged = wanted.map((condition): Condition => {
    const last = known.find((one) => one.type === condition.type);
    const kept = last?.status === condition.status ? last.lastTransitionTime : undefined;
    return {
      type: condition.type,
      status: condition.status,
      reason: condition.reason,
      message: condition.message,
      lastTransitionTime: kept ?? toSeconds(now),
      observedGeneration: condition.observedGeneration ?? generation,
    };
  });
  const same = known.length === merged.length && merged.every((one, index) => isSameCondition(one, known[index]));
  return before !== undefined && same ? before : merged;
}

/** The API server stores `metav1.Time` with seconds; milliseconds would come back changed. */
function toSeconds(instant: Date): string {
  return `${instant.toISOString().slice(0, 19)}Z`;
}

function isSameCondition(one: Condition, other: Condition | undefined): boolean {
  return (
    other !== undefined &&
    one.type === other.type &&
    one.status === other.status &&
    one.reason === other.reason &&
    one.message === other.message &&
    one.lastTransitionTime === other.lastTransitionTime &&
    one.observedGeneration === other.observedGeneration
  );
}
