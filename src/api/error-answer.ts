import type { z } from "zod";
import { asKeysteadError, KeysteadError, type ErrorCode } from "../errors.ts";
import { withoutSecrets } from "../telemetry/log.ts";

/** One thing that is wrong with a request, as clients of the contract expect it. */
export interface RequestIssue {
  readonly code: string;
  readonly message: string;
  readonly path: readonly (string | number)[];
}

/** An answer that says what went wrong: the status, and the body as text. */
export interface ErrorAnswer {
  readonly status: number;
  readonly code: string;
  readonly body: string;
  /** For `Retry-After`, where trying again may help. */
  readonly retryAfterSeconds?: number;
}

/** Issues in one answer; a query with more wrong than this is noise. */
const MAX_ISSUES = 10;

/** Characters of an issue's message, which may repeat a key of the query. */
const MAX_MESSAGE = 200;

/**
 * The answer for whatever was thrown. What is the caller's, or a provider's that was called for them, is explained;
 * anything else becomes a fixed sentence, because its message is for the log: it may name hosts and roles.
 */
export function errorAnswer(thrown: unknown): ErrorAnswer {
  const error = fromRouter(thrown) ?? asKeysteadError(thrown);
  if (error.status === 503) {
    const message = "The database does not answer at the moment. Try again in a second.";
    return { ...answer(503, error.code, { message }), retryAfterSeconds: 1 };
  }
  if (!error.isTold) {
    return answer(500, "server_error", { message: "Something went wrong here; the log of the API says what." });
  }
  const { issues, payload, retryAfterSeconds } = error.details;
  const explained = answer(error.status, ANSWERED_AS[error.code] ?? error.code, {
    message: error.message,
    ...(issues !== undefined && { errors: issues }),
    ...(payload !== undefined && { payload }),
    // Clients of the contract find an empty payload beside every refused authentication.
    ...(error.status === 401 && { payload: {} }),
  });
  return typeof retryAfterSeconds === "number" ? { ...explained, retryAfterSeconds } : explained;
}

/** What the contract has fewer codes for: there one code has two statuses, or stands for several things. */
export const ANSWERED_AS: Partial<Record<ErrorCode, string>> = {
  nothing_to_delete: "unknown_connection",
  credentials_mismatch: "invalid_body",
  metadata_too_large: "invalid_body",
  unique_key_taken: "invalid_body",
  integration_has_connections: "invalid_body",
  tags_outside_selector: "forbidden",
};

/** Parts of a request, by the code that says that one cannot be used. */
const PARTS = {
  invalid_query_params: "query parameters",
  invalid_uri_params: "path",
  invalid_headers: "headers",
  invalid_body: "body",
} as const satisfies Partial<Record<ErrorCode, string>>;

/** What zod found, as an error of that code. */
export function invalidRequest(code: keyof typeof PARTS, error: z.ZodError): KeysteadError {
  const issues: RequestIssue[] = error.issues.slice(0, MAX_ISSUES).map((issue) => ({
    code: issue.code,
    message: issue.message.slice(0, MAX_MESSAGE),
    path: issue.path.map((step) => (typeof step === "symbol" ? String(step) : step)),
  }));
  return refusedPart(code, issues);
}

/** The same for one thing that no schema knows: what is stored speaks against it. */
export function refusedPart(code: keyof typeof PARTS, issues: readonly RequestIssue[]): KeysteadError {
  const message = `The ${PARTS[code]} of the request cannot be used: see errors.`;
  return new KeysteadError(code, message, { details: { issues } });
}

function answer(status: number, code: string, rest: Readonly<Record<string, unknown>>): ErrorAnswer {
  // A caller may have put a key anywhere in the request, and messages repeat parts of it.
  return { status, code, body: withoutSecrets(JSON.stringify({ error: { code, ...rest } })) };
}

/** What the framework refuses before a handler runs, and bodies whose caller went away, by their code. */
const REFUSED_BEFORE: Readonly<Record<string, readonly [ErrorCode, string]>> = {
  FST_ERR_BAD_URL: ["invalid_uri_params", "The path of the request is not valid percent-encoding."],
  FST_ERR_MAX_PARAM_LENGTH: ["invalid_uri_params", "The path of the request has a part that is too long."],
  FST_ERR_CTP_INVALID_MEDIA_TYPE: ["invalid_content_type", "The body has to be JSON: Content-Type: application/json."],
  FST_ERR_CTP_BODY_TOO_LARGE: ["body_too_large", "The body of the request is larger than 1 MiB."],
  ECONNRESET: ["malformed_request", "The body of the request broke off."],
  ERR_STREAM_PREMATURE_CLOSE: ["malformed_request", "The body of the request broke off."],
  FST_ERR_CTP_INVALID_CONTENT_LENGTH: ["malformed_request", "The body is not as long as its Content-Length says."],
};

function fromRouter(thrown: unknown): KeysteadError | undefined {
  if (!(thrown instanceof Error && "code" in thrown && typeof thrown.code === "string")) return undefined;
  const [code, message] = REFUSED_BEFORE[thrown.code] ?? [];
  return code && new KeysteadError(code, message ?? "", { cause: thrown });
}
