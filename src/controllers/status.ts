import { isDeepStrictEqual } from "node:util";
import { type Condition, mergeConditions } from "../kube/conditions.ts";
import type { Outcome } from "./outcome.ts";
import { conditionsOf } from "./ready.ts";

/** What the status of all three kinds has in common. */
export interface ResourceStatus {
  readonly observedGeneration: number;
  readonly conditions?: readonly Condition[] | undefined;
}

/** The `Ready` condition of a status, if it has one. */
export function readyOf(status: ResourceStatus): Condition | undefined {
  return status.conditions?.find((condition) => condition.type === "Ready");
}

/**
 * The status after an outcome. Returns `before` itself where nothing differs, and nothing may be written then. Fields that
 * a pass found out replace those of the same name, an undefined one goes; a pass that found out nothing leaves them.
 */
export function statusAfter(before: ResourceStatus, outcome: Outcome, generation: number, now: Date): ResourceStatus {
  const wanted = conditionsOf(outcome, readyOf(before));
  if (!wanted) return before;
  const fields = "fields" in outcome ? outcome.fields : {};
  const after = {
    ...before,
    ...fields,
    observedGeneration: generation,
    conditions: mergeConditions(before.conditions, wanted, now, generation),
  };
  return isDeepStrictEqual(withoutUndefined(after), withoutUndefined(before)) ? before : after;
}

/** A field that is undefined is the same as one that is not there: neither is sent. */
function withoutUndefined(status: object): object {
  return Object.fromEntries(Object.entries(status).filter(([, value]) => value !== undefined));
}
