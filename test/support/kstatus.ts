import type { Observed } from "./resources.ts";

export type Kstatus = "Terminating" | "InProgress" | "Failed" | "Current";

/**
 * What sigs.k8s.io/cli-utils' kstatus makes of an object, and so what Flux, Argo CD's health and `kubectl wait` users act
 * on: the rules for kinds it knows nothing about, in its order. The first condition that decides wins.
 */
export function kstatusOf({ metadata, status }: Observed): Kstatus {
  if (metadata.deletionTimestamp !== undefined) return "Terminating";
  if (status?.observedGeneration !== undefined && status.observedGeneration !== metadata.generation) {
    return "InProgress";
  }
  for (const condition of status?.conditions ?? []) {
    if (condition.type === "Reconciling" && condition.status === "True") return "InProgress";
    if (condition.type === "Stalled" && condition.status === "True") return "Failed";
  }
  const ready = status?.conditions?.find((condition) => condition.type === "Ready");
  return ready === undefined || ready.status === "True" ? "Current" : "InProgress";
}
