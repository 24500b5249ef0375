import type { EventRecorder } from "../kube/event-recorder.ts";
import { apiVersionOf, type ResourceKind } from "../kube/resource-path.ts";
import type { Resource } from "../resources/parse.ts";
import type { Reason } from "../resources/reasons.ts";
import type { Outcome } from "./outcome.ts";
import { readyOf, type ResourceStatus } from "./status.ts";

/** What the owner of a resource should read in its events about a change of its conditions. */
export interface Notice {
  readonly type: "Normal" | "Warning";
  readonly reason: string;
  readonly note: string;
}

/** What waits for another resource of ours is told by that one's own events; a hundred echoes of it would help nobody. */
const TOLD_ELSEWHERE: ReadonlySet<Reason> = new Set<Reason>(["EnvironmentNotReady", "IntegrationNotReady"]);

/**
 * Events stand for transitions only: something began to be in the way, or a failure ended. The first Ready is none, and
 * neither is trouble of the whole installation (a database that is down), which would be one event for each object.
 */
export function noticeOf(before: ResourceStatus, after: ResourceStatus, outcome: Outcome): Notice | undefined {
  if (outcome.kind === "waiting" || outcome.kind === "stalled") {
    if (TOLD_ELSEWHERE.has(outcome.reason)) return undefined;
    const known = before.conditions?.some(({ type, reason }) => type !== "Ready" && reason === outcome.reason);
    return known ? undefined : { type: "Warning", reason: outcome.reason, note: outcome.message };
  }
  const recovered = readyOf(before)?.status === "False" && readyOf(after)?.status === "True";
  return recovered && outcome.kind === "settled"
    ? { type: "Normal", reason: "Recovered", note: outcome.message }
    : undefined;
}

/** Hands a notice to the recorder, which never fails and never waits. */
export function recordEvent(
  events: EventRecorder,
  kind: ResourceKind,
  { metadata }: Pick<Resource<string, unknown, unknown>, "metadata">,
  notice: Notice,
): void {
  events.record({ apiVersion: apiVersionOf(kind), kind: kind.kind, metadata }, { ...notice, action: "Reconcile" });
}
