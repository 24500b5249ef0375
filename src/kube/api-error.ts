import type { ErrorCode } from "../errors.ts";
import { hasCode, KeysteadError } from "../errors.ts";

/** The fields of `metav1.Status` that decide anything. */
interface ApiStatus {
  readonly reason?: string;
  readonly message?: string;
  readonly details?: {
    readonly retryAfterSeconds?: number;
    readonly causes?: readonly { readonly reason?: string; readonly field?: string }[];
  };
}

/** `details` of every error that stands for an answer of the API server. */
export interface ApiErrorDetails {
  /** HTTP status. */
  readonly status: number;
  /** `reason` of the answer's Status object; empty when the answer had none (a proxy in between, for example). */
  readonly reason: string;
  readonly retryAfterSeconds?: number;
  /** Reasons of the causes, such as `NamespaceTerminating`. */
  readonly causes: readonly string[];
}

/** Room for the sentence of an admission webhook or of a long list of invalid fields, not for a body gone wrong. */
const MAX_MESSAGE = 1_000;

/**
 * The error for an answer that was not a success. `action` names the call ("GET /api/v1/..."); the server's sentence is
 * kept, as it names the field or the missing permission. Never pass anything of the request beside method and path.
 */
export function apiError(action: string, status: number, body: string, retryAfterHeader?: string): KeysteadError {
  const parsed = parseStatus(body);
  const reason = parsed.reason ?? "";
  const retryAfterSeconds = parsed.details?.retryAfterSeconds ?? secondsOf(retryAfterHeader);
  const details: ApiErrorDetails = {
    status,
    reason,
    ...(retryAfterSeconds === undefined ? {} : { retryAfterSeconds }),
    causes: (parsed.details?.causes ?? []).map((cause) => cause.reason ?? ""),
  };
  const sentence = (parsed.message ?? body).slice(0, MAX_MESSAGE) || "no message";
  return new KeysteadError(codeOf(status, reason), `${action} was answered ${status} ${reason}: ${sentence}`, {
    details: { ...details },
  });
}

/** The error for the `object` of an ERROR frame in a watch: the same Status, without an HTTP answer of its own. */
export function watchError(action: string, status: unknown): KeysteadError {
  const code = typeof status === "object" && status !== null && "code" in status ? status.code : undefined;
  return apiError(action, typeof code === "number" ? code : 500, JSON.stringify(status));
}

/** What the API server said, when `thrown` is an answer of the API server. */
export function apiErrorDetails(thrown: unknown): ApiErrorDetails | undefined {
  if (!(thrown instanceof KeysteadError)) return undefined;
  const { status, reason, retryAfterSeconds, causes } = thrown.details;
  if (typeof status !== "number" || typeof reason !== "string" || !Array.isArray(causes)) return undefined;
  return {
    status,
    reason,
    ...(typeof retryAfterSeconds === "number" ? { retryAfterSeconds } : {}),
    causes: causes.filter((cause) => typeof cause === "string"),
  };
}

/** Whether a create was refused because the namespace is going away: no retry helps, and nothing is wrong. */
export function isNamespaceTerminating(thrown: unknown): boolean {
  return apiErrorDetails(thrown)?.causes.includes("NamespaceTerminating") === true;
}

/**
 * Whether the identity lacks a right: the sentence of the API server's own authorization. A quota that is used up and an
 * admission webhook are answered 403 as well.
 */
export function isRightMissing(thrown: unknown): boolean {
  return hasCode(thrown, "kube_forbidden") && / forbidden: User ".*" cannot /.test(thrown.message);
}

/**
 * Whether a write was refused because of what the object is or would be: by its schema, a rule in it, or an admission policy.
 * A patch that only did not fit any more is a 422 as well, but names no cause. Another attempt gets the same answer.
 */
export function isObjectRefused(thrown: unknown): boolean {
  const details = apiErrorDetails(thrown);
  return details?.status === 422 && details.causes.length > 0;
}

function codeOf(status: number, reason: string): ErrorCode {
  switch (status) {
    case 400:
    case 413:
    case 422:
      return "kube_invalid";
    case 401:
      return "kube_unauthorized";
    case 403:
      return "kube_forbidden";
    case 404:
      return "kube_not_found";
    case 409:
      return reason === "AlreadyExists" ? "kube_already_exists" : "kube_conflict";
    case 410:
      return "kube_expired";
    case 429:
      return "kube_throttled";
    case 504:
      return "kube_timeout";
    default:
      return "kube_api_error";
  }
}

function parseStatus(body: string): ApiStatus {
  try {
    const parsed: unknown = JSON.parse(body);
    return isStatus(parsed) ? parsed : {};
  } catch {
    // A load balancer answers in HTML or plain text; its words are then the message.
    return {};
  }
}

function isStatus(value: unknown): value is ApiStatus {
  return typeof value === "object" && value !== null && "kind" in value && value.kind === "Status";
}

/** Only the form in seconds: the API server sends no dates. */
function secondsOf(header: string | undefined): number | undefined {
  return header !== undefined && /^\d{1,6}$/.test(header) ? Number(header) : undefined;
}
