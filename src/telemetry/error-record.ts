import { KeysteadError } from "../errors.ts";

/** How an error stands in a log line. */
export interface ErrorRecord {
  readonly type: string;
  readonly message: string;
  readonly code?: string;
  readonly details?: Readonly<Record<string, unknown>>;
  /** Only of errors nobody raised on purpose: those of `KeysteadError` are found by their code. */
  readonly stack?: string;
  readonly cause?: ErrorRecord;
  /** Parts of an `AggregateError`, as a failed connect to a host with several addresses gives. */
  readonly errors?: readonly ErrorRecord[];
}

/** Errors wrap one another about three deep here; past six it is a loop. */
const MAX_DEPTH = 6;

/** Characters of a message: enough for any sentence, too few for a provider's whole error page. */
const MAX_MESSAGE = 2_000;

/**
 * An error as plain data: type, code, message and the chain of causes. Only these are copied, because errors of
 * libraries carry the request (with its headers) or the row (with its values) in other properties.
 */
export function serializeError(thrown: unknown): ErrorRecord {
  return record(thrown, 1);
}

function record(thrown: unknown, depth: number): ErrorRecord {
  if (!(thrown instanceof Error)) return { type: typeof thrown, message: clip(String(thrown)) };
  const code = "code" in thrown && typeof thrown.code === "string" ? thrown.code : undefined;
  const deeper = depth < MAX_DEPTH;
  return {
    type: thrown.name,
    message: clip(thrown.message),
    ...(code !== undefined && { code }),
    ...(thrown instanceof KeysteadError && Object.keys(thrown.details).length > 0 && { details: thrown.details }),
    ...(!(thrown instanceof KeysteadError) && depth === 1 && thrown.stack && { stack: clip(thrown.stack) }),
    ...(deeper && thrown.cause !== undefined && { cause: record(thrown.cause, depth + 1) }),
    ...(deeper &&
      thrown instanceof AggregateError && {
        errors: thrown.errors.slice(0, 4).map((part: unknown) => record(part, depth + 1)),
      }),
  };
}

function clip(text: string): string {
  return text.length > MAX_MESSAGE ? `${text.slice(0, MAX_MESSAGE)}…` : text;
}
