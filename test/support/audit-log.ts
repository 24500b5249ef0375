import { readFileSync } from "node:fs";
import { inject } from "vitest";

/** One call to the API server, as its audit log has it. */
export interface AuditedCall {
  readonly verb: string;
  readonly requestURI: string;
  readonly user: { readonly username: string };
  /** Absent where the path is no object's. */
  readonly objectRef?: {
    readonly apiGroup?: string;
    readonly resource: string;
    readonly subresource?: string;
    readonly name?: string;
    readonly namespace?: string;
  };
  readonly responseStatus?: { readonly code: number };
  readonly requestReceivedTimestamp: string;
}

/** All that the controller of one installation asked the API server for so far, each call once. */
export function controllerCalls(namespace: string): AuditedCall[] {
  const username = `system:serviceaccount:${namespace}:keystead-controller`;
  const lines = readFileSync(inject("controlPlane").auditLog, "utf8").split("\n");
  const calls = lines
    // The last line may be half written, and most lines are of others.
    .filter((line) => line.includes(username) && line.endsWith("}"))
    .map((line): AuditedCall & { readonly auditID: string } => JSON.parse(line));
  // A watch has a line for its start and one for its end.
  return [...new Map(calls.map((call) => [call.auditID, call])).values()];
}

/** Calls that change something, without the heartbeat of the leader. */
export function writesAmong(calls: readonly AuditedCall[]): string[] {
  return calls
    .filter(({ verb, objectRef }) => !["get", "list", "watch"].includes(verb) && objectRef?.resource !== "leases")
    .map(({ verb, requestURI }) => `${verb} ${requestURI}`);
}
