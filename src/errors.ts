/** How the rest of the program treats an error of a code. */
interface ErrorKind {
  /** HTTP status of the API's answer when the error reaches a caller. */
  readonly status: number;
  /** Whether the same call may succeed later without anybody changing anything. */
  readonly retryable: boolean;
}

/**
 * Every error Keystead raises on purpose, by its stable code. `docs/errors.md` explains each to users and a test
 * compares the two. Messages may change, codes do not: callers look at nothing else.
 */
export const ERRORS = {
  internal_error: { status: 500, retryable: true },
  configuration_invalid: { status: 500, retryable: false },
  address_unavailable: { status: 500, retryable: false },

  // kube/: what the Kubernetes API server, or the way to it, answered.
  kube_unreachable: { status: 503, retryable: true },
  kube_timeout: { status: 504, retryable: true },
  kube_call_aborted: { status: 503, retryable: true },
  kube_answer_invalid: { status: 502, retryable: true },
  kube_answer_too_large: { status: 502, retryable: false },
  kube_unauthorized: { status: 500, retryable: true },
  kube_forbidden: { status: 500, retryable: false },
  kube_not_found: { status: 500, retryable: false },
  kube_already_exists: { status: 500, retryable: false },
  kube_conflict: { status: 500, retryable: true },
  kube_invalid: { status: 500, retryable: false },
  kube_expired: { status: 500, retryable: true },
  kube_throttled: { status: 503, retryable: true },
  kube_api_error: { status: 502, retryable: true },
  kube_path_invalid: { status: 500, retryable: false },
  kube_identity_invalid: { status: 500, retryable: false },
  leadership_lost: { status: 500, retryable: true },

  // the workbench (dev/)
  part_failed: { status: 500, retryable: false },
  port_in_use: { status: 500, retryable: false },
  directory_in_use: { status: 500, retryable: false },
  disk_full: { status: 500, retryable: false },

  // crypto/: keys and sealed values.
  encryption_key_missing: { status: 500, retryable: false },
  encryption_key_invalid: { status: 500, retryable: false },
  encryption_key_unknown: { status: 500, retryable: false },
  encryption_key_in_use: { status: 409, retryable: false },
  sealed_value_invalid: { status: 500, retryable: false },
  json_not_canonical: { status: 500, retryable: false },

  // db/: what Postgres, or the way to it, answered.
  database_unavailable: { status: 503, retryable: true },
  database_timeout: { status: 503, retryable: true },
  database_conflict: { status: 503, retryable: true },
  database_value_refused: { status: 400, retryable: false },
  database_forbidden: { status: 500, retryable: false },
  database_error: { status: 500, retryable: true },
  database_not_durable: { status: 500, retryable: false },
  postgres_unsupported: { status: 500, retryable: false },
  schema_outdated: { status: 500, retryable: false },
  code_outdated: { status: 500, retryable: false },
  migration_changed: { status: 500, retryable: false },

  // resources/: what a manifest says.
  duration_invalid: { status: 400, retryable: false },

  // vault/: what is stored does not allow the operation.
  connection_id_in_use: { status: 409, retryable: false },
  integration_key_in_use: { status: 409, retryable: false },
  environment_gone: { status: 404, retryable: false },
  integration_gone: { status: 404, retryable: false },
  environment_superseded: { status: 409, retryable: false },
  adopt_refused: { status: 403, retryable: false },
  adopt_conflict: { status: 409, retryable: false },
  row_changed: { status: 409, retryable: true },
  row_unclaimed: { status: 409, retryable: true },
  restore_not_found: { status: 404, retryable: false },
  restore_not_managed: { status: 409, retryable: false },
  restore_forbidden: { status: 403, retryable: false },
  restore_alive: { status: 409, retryable: false },
  restore_conflict: { status: 409, retryable: false },
  unique_key_taken: { status: 400, retryable: false },
  integration_has_connections: { status: 400, retryable: false },
  credentials_mismatch: { status: 400, retryable: false },
  tags_outside_selector: { status: 403, retryable: false },
  metadata_too_large: { status: 400, retryable: false },
  data_key_replaced: { status: 503, retryable: true },
  data_key_exhausted: { status: 500, retryable: false },

  // outbound/: what a call of ours to another server came to.
  outbound_refused: { status: 400, retryable: false },
  outbound_unreachable: { status: 502, retryable: true },
  outbound_timeout: { status: 504, retryable: true },
  outbound_tls_invalid: { status: 502, retryable: false },
  outbound_answer_invalid: { status: 502, retryable: true },
  outbound_answer_too_large: { status: 502, retryable: false },
  outbound_redirects_exceeded: { status: 502, retryable: false },

  // api/: what a request is answered. Codes and statuses are those of Nango's contract.
  missing_auth_header: { status: 401, retryable: false },
  malformed_auth_header: { status: 401, retryable: false },
  missing_environment_header: { status: 401, retryable: false },
  invalid_secret_key_format: { status: 401, retryable: false },
  unknown_account: { status: 401, retryable: false },
  forbidden: { status: 403, retryable: false },
  address_not_allowed: { status: 403, retryable: false },
  too_many_request: { status: 429, retryable: true },
  invalid_query_params: { status: 400, retryable: false },
  invalid_uri_params: { status: 400, retryable: false },
  invalid_headers: { status: 400, retryable: false },
  invalid_body: { status: 400, retryable: false },
  invalid_json: { status: 400, retryable: false },
  invalid_content_type: { status: 415, retryable: false },
  body_too_large: { status: 413, retryable: false },
  headers_too_large: { status: 431, retryable: false },
  malformed_request: { status: 400, retryable: false },
  request_timeout: { status: 408, retryable: true },
  unknown_provider_config: { status: 400, retryable: false },
  unknown_connection: { status: 404, retryable: false },
  nothing_to_delete: { status: 400, retryable: false },
  managed_by_resource: { status: 409, retryable: false },
  not_found: { status: 404, retryable: false },
  base_url_override_disabled: { status: 400, retryable: false },
  base_url_override_not_allowed: { status: 400, retryable: false },
  origin_not_accepted: { status: 409, retryable: false },
  proxy_not_configured: { status: 400, retryable: false },
  proxy_template_unresolved: { status: 400, retryable: false },
  server_error: { status: 500, retryable: true },
} as const satisfies Record<string, ErrorKind>;

export type ErrorCode = keyof typeof ERRORS;

interface KeysteadErrorOptions {
  readonly cause?: unknown;
  /** Where the contract answers the code with another status than elsewhere. */
  readonly status?: number;
  /** What a caller may want to show or compare; never a secret. */
  readonly details?: Readonly<Record<string, unknown>>;
}

/** The one error class. The message says what happened, where, and what to do about it; it never holds a secret. */
export class KeysteadError extends Error {
  override readonly name = "KeysteadError";
  readonly code: ErrorCode;
  readonly status: number;
  readonly details: Readonly<Record<string, unknown>>;

  constructor(code: ErrorCode, message: string, options: KeysteadErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.status = options.status ?? ERRORS[code].status;
    this.details = options.details ?? {};
  }

  /** Whether callers may read the message: it is about them, or about somebody else's server. */
  get isTold(): boolean {
    return this.status < 500 || this.code.startsWith("outbound_");
  }

  get retryable(): boolean {
    return ERRORS[this.code].retryable;
  }
}

/** Turns whatever was thrown into a `KeysteadError`, so that a `catch` never has to ask what it holds. The cause is kept. */
export function asKeysteadError(thrown: unknown): KeysteadError {
  if (thrown instanceof KeysteadError) return thrown;
  const message = thrown instanceof Error ? thrown.message : String(thrown);
  return new KeysteadError("internal_error", message, { cause: thrown });
}

/** Whether `thrown` is a Keystead error of that code. */
export function hasCode(thrown: unknown, code: ErrorCode): thrown is KeysteadError {
  return thrown instanceof KeysteadError && thrown.code === code;
}
