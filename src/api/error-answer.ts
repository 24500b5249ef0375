import type { z } from "zod";
import { asKeysteadError, KeysteadError } from "../errors.ts";
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
 * The answer for whatever was thrown. A cause below 500 is the caller's and is explained; anything else becomes a fixed
 * sentence, because its message is for the log: it may name hosts and roles.
 */
export function errorAnswer(thrown: unknown): ErrorAnswer {
  const error = fromRouter(thrown) ?? asKeysteadError(thrown);
  if (error.status === 503) {
    const message = "The database does not answer at the moment. Try again in a second.";
    return { ...answer(503, error.code, { message }), retryAfterSeconds: 1 };
  }
  if (error.status >= 500) {
    return answer(500, "server_error", { message: "Something went wrong here; the log of the API says what." });
  }
  const { issues, retryAfterSeconds } = error.details;
  const explained = answer(error.status, error.code, {
    message: error.message,
    ...(issues !== undefined && { errors: issues }),
    // Clients of the contract find an empty payload beside every refused authentication.
    ...(error.status === 401 && { payload: {} }),
  });
  return typeof retryAfterSeconds === "number" ? { ...explained, retryAfterSeconds } : explained;
}

/** What zod found, as the error of one of the codes `invalid_query_params`, `invalid_uri_params`. */
export function invalidRequest(code: "invalid_query_params" | "invalid_uri_params", error: z.ZodError): KeysteadError {
  const issues: RequestIssue[] = error.issues.slice(0, MAX_ISSUES).map((issue) => ({
    code: issue.code,
    message: issue.message.slice(0, MAX_MESSAGE),
    path: issue.path.map((step) => (typeof step === "symbol" ? String(step) : step)),
  }));
  const what = code === "invalid_query_params" ? "query parameters" : "path";
  return new KeysteadError(code, `The ${what} of the request cannot be used: see errors.`, { details: { issues } });
}

function answer(status: number, code: string, rest: Readonly<Record<string, unknown>>): ErrorAnswer {
  // A caller may have put a key anywhere in the request, and messages repeat parts of it.
  return { status, code, body: withoutSecrets(JSON.stringify({ error: { code, ...rest } })) };
}

/** What the router refuses before a handler runs: a path that cannot be decoded, or one with a part that is too long. */
function fromRouter(thrown: unknown): KeysteadError | undefined {
  if (!(thrown instanceof Error && "code" in thrown)) return undefined;
  if (thrown.code !== "FST_ERR_BAD_URL" && thrown.code !== "FST_ERR_MAX_PARAM_LENGTH") return undefined;
  const message = "The path of the request is not valid percent-encoding, or has a part that is too long.";
  return new KeysteadError("invalid_uri_params", message, { cause: thrown });
}
