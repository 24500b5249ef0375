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
} as const satisfies Record<string, ErrorKind>;

export type ErrorCode = keyof typeof ERRORS;

interface KeysteadErrorOptions {
  readonly cause?: unknown;
  /** What a caller may want to show or compare; never a secret. */
  readonly details?: Readonly<Record<string, unknown>>;
}

/** The one error class. The message says what happened, where, and what to do about it; it never holds a secret. */
export class KeysteadError extends Error {
  override readonly name = "KeysteadError";
  readonly code: ErrorCode;
  readonly details: Readonly<Record<string, unknown>>;

  constructor(code: ErrorCode, message: string, options: KeysteadErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.details = options.details ?? {};
  }

  get status(): number {
    return ERRORS[this.code].status;
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
