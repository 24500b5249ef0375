import type { Condition, WantedCondition } from "../kube/conditions.ts";
import { REASONS, type Reason } from "../resources/reasons.ts";
import type { Outcome } from "./outcome.ts";

/**
 * The conditions an outcome stands for, after the status contract: `Ready` always, `Reconciling` and `Stalled` only while
 * true and never both. Waiting and retrying leave a `Ready` that was reached as it is, with the generation it was
 * reached at, while the credential stored then is still served; on a resource that never got there it is `Unknown`.
 *
 * Returns `undefined` where the outcome has nothing to say and the status stays as it is.
 */
export function conditionsOf(outcome: Outcome, ready: Condition | undefined): readonly WantedCondition[] | undefined {
  switch (outcome.kind) {
    case "settled":
      return [{ type: "Ready", status: "True", reason: "Succeeded", message: outcome.message }];
    case "suspended":
      return [
        {
          type: "Ready",
          status: ready?.status ?? "Unknown",
          reason: "Suspended",
          message: "spec.suspend is true: everything stays as it is until it is set to false or removed.",
        },
      ];
    case "waiting":
      return explained(outcome.reason, outcome.message, ready, outcome.nothingStored);
    case "stalled":
      return explained(outcome.reason, outcome.message, ready);
    case "retry":
      return outcome.reason && explained(outcome.reason, outcome.message ?? outcome.cause.message, ready);
    case "gone":
      return undefined;
  }
}

function explained(
  reason: Reason,
  message: string,
  ready: Condition | undefined,
  nothingStored = false,
): readonly WantedCondition[] {
  const kind: { ready: string; beside?: "Reconciling" | "Stalled" } = REASONS[reason];
  const fate = kind.ready === "kept" && nothingStored ? "lost" : kind.ready;
  const beside = kind.beside ? [{ type: kind.beside, status: "True" as const, reason, message }] : [];
  if (fate === "kept" && ready?.status === "True") return [ready, ...beside];
  // Whoever stalls has come to an end, which Unknown would deny.
  const isFalse =
    fate === "False" || kind.beside === "Stalled" || (fate === "lost" && (ready?.status ?? "Unknown") !== "Unknown");
  return [{ type: "Ready", status: isFalse ? "False" : "Unknown", reason, message }, ...beside];
}
