import type { ErrorCode, KeysteadError } from "../errors.ts";
import { isNamespaceTerminating, isRightMissing } from "../kube/api-error.ts";
import type { Reason } from "../resources/reasons.ts";

/** Fields of a resource's status beside `observedGeneration` and `conditions`, as far as a pass found them out. */
export type StatusFields = Readonly<Record<string, unknown>>;

/** What a pass found out although it was held up. */
interface FoundOut {
  readonly fields?: StatusFields;
  /** Milliseconds after which something is due by itself. */
  readonly dueInMs?: number | undefined;
}

/**
 * How one pass over a resource ended. Everything that follows from an ending (conditions, requeue, event, metric) is
 * decided from this value alone, so a reconcile never writes a condition or picks a delay itself.
 */
export type Outcome =
  /** Stored and desired state agree. */
  | {
      readonly kind: "settled";
      readonly message: string;
      readonly fields: StatusFields;
      /** Milliseconds after which something is due by itself. */
      readonly dueInMs?: number | undefined;
    }
  /** `spec.suspend` is set: nothing was looked at or changed. */
  | { readonly kind: "suspended" }
  /** Something it refers to is not there yet; its appearance starts the next pass. */
  | ({
      readonly kind: "waiting";
      readonly reason: Reason;
      readonly message: string;
      /** Nothing is stored for the resource, so that a `Ready` it had is over whatever the reason says. */
      readonly nothingStored?: boolean;
    } & FoundOut)
  /** Only an edit or a person helps. */
  | ({ readonly kind: "stalled"; readonly reason: Reason; readonly message: string } & FoundOut)
  /** Temporary trouble, tried again with back-off. `reason` and `message` are there where its owner should read of it. */
  | { readonly kind: "retry"; readonly cause: KeysteadError; readonly reason?: Reason; readonly message?: string }
  /** The resource is gone or released: there is no status left to write. */
  | { readonly kind: "gone" };

export const settled = (message: string, fields: StatusFields, dueInMs?: number): Outcome => ({
  kind: "settled",
  message,
  fields,
  ...(dueInMs !== undefined && { dueInMs }),
});
export const suspended = (): Outcome => ({ kind: "suspended" });
export const waiting = (reason: Reason, message: string): Outcome => ({ kind: "waiting", reason, message });
export const stalled = (reason: Reason, message: string): Outcome => ({ kind: "stalled", reason, message });
/** The same outcome of a resource for which nothing is stored. */
export const withNothingStored = (outcome: Outcome): Outcome =>
  outcome.kind === "waiting" ? { ...outcome, nothingStored: true } : outcome;
/** The same outcome with what the pass found out all the same. */
export const withFound = (outcome: Outcome, found: FoundOut): Outcome =>
  outcome.kind === "waiting" || outcome.kind === "stalled" ? { ...outcome, ...found } : outcome;
export const gone = (): Outcome => ({ kind: "gone" });

/** Answers to a write that was decided on an older state of the world: the next pass decides on the new one. */
const MOVED_ON: ReadonlySet<ErrorCode> = new Set<ErrorCode>(["kube_already_exists", "kube_not_found"]);

/** Why something cannot come back, or cannot be had. Only an edit helps, or the deletion of something else. */
const REFUSED: Partial<Record<ErrorCode, { readonly reason: Reason; readonly advice: string }>> = {
  environment_superseded: {
    reason: "Superseded",
    advice: "Nothing is stored from here any more. Delete this resource, which touches nothing of it.",
  },
  adopt_refused: {
    reason: "AdoptRefused",
    advice: "Give the value of KEYSTEAD_SECRET_KEY that its Secret has now.",
  },
  adopt_conflict: {
    reason: "AdoptConflict",
    advice: "Delete it and make it anew with spec.adopt, or remove spec.adopt.",
  },
  restore_not_found: {
    reason: "RestoreNotFound",
    advice: "Remove spec.restoreFrom to have it made anew, or correct the id.",
  },
  restore_not_managed: { reason: "RestoreNotManaged", advice: "Remove spec.restoreFrom." },
  restore_forbidden: {
    reason: "RestoreForbidden",
    advice: "Remove spec.restoreFrom, or correct the id; docs/restore.md says what has to agree.",
  },
  restore_alive: { reason: "RestoreAlive", advice: "Remove spec.restoreFrom, or delete the other resource first." },
  restore_conflict: {
    reason: "RestoreConflict",
    advice: "Delete what is there now, this resource included if it is its own, or remove spec.restoreFrom.",
  },
};

/**
 * What a failed pass means for the resource. Errors that pass by themselves (API server busy, a row that changed
 * meanwhile, a namespace on its way out) are retried, at first without a word in its status.
 */
export function outcomeOfError(error: KeysteadError): Outcome {
  const { code, message } = error;
  if (code === "database_unavailable") {
    return {
      kind: "retry",
      cause: error,
      reason: "DatabaseUnavailable",
      message: "The database cannot be reached. What is stored stays as it is, and this is tried again by itself.",
    };
  }
  if (code === "connection_id_in_use") {
    const advice = "Delete that one, or make this Connection anew with another spec.connectionId.";
    return stalled("ConnectionIdInUse", `${capitalized(message)}. ${advice}`);
  }
  if (code === "integration_key_in_use") {
    const advice = "Delete that one, or make this Integration anew under another name.";
    return stalled("IntegrationKeyInUse", `${capitalized(message)}. ${advice}`);
  }
  const refused = REFUSED[code];
  if (refused) return stalled(refused.reason, `${capitalized(message)}. ${refused.advice}`);
  if (isRightMissing(error)) {
    return stalled("PermissionDenied", `${message}. Grant it to the ServiceAccount of the controller.`);
  }
  if (code === "kube_forbidden" && !isNamespaceTerminating(error)) {
    const advice = "A quota or an admission policy of the cluster forbids it; tried again every few minutes.";
    return stalled("AdmissionDenied", `${message}. ${advice}`);
  }
  if (code === "environment_gone") {
    return withNothingStored(
      waiting("EnvironmentNotReady", "The Environment was deleted meanwhile. This goes on when it is stored anew."),
    );
  }
  if (code === "integration_gone") {
    return withNothingStored(
      waiting("IntegrationNotReady", "The Integration was deleted meanwhile. This goes on when it is stored anew."),
    );
  }
  if (!error.retryable && !MOVED_ON.has(code) && !isNamespaceTerminating(error)) {
    return stalled("Failed", `${capitalized(message)}. See docs/errors.md for ${code}; what is stored stays as it is.`);
  }
  return { kind: "retry", cause: error };
}

/**
 * A retry that has failed so often that the owner of the resource should know why nothing happens. The words of the cause are
 * for the log: they may name a port or a time, and a status that says something else each time is a write each time.
 */
export function toldRetry(outcome: Outcome): Outcome {
  if (outcome.kind !== "retry" || outcome.reason !== undefined) return outcome;
  const { code } = outcome.cause;
  const message = `${whoFails(code)} (${code}, see docs/errors.md). The controller's log says more; this is tried again by itself.`;
  return { ...outcome, reason: "ProgressingWithRetry", message };
}

function whoFails(code: ErrorCode): string {
  if (code.startsWith("kube_")) return "The API server, or a webhook behind it, does not do what this needs";
  if (code.startsWith("database_")) return "The database does not do what this needs";
  return "A step of this fails";
}

/** Error messages begin as part of a line, conditions are sentences. */
function capitalized(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}
