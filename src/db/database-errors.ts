import { DatabaseError } from "pg";
import { KeysteadError, type ErrorCode } from "../errors.ts";

/** Postgres reports a class of errors by the first two characters of a SQLSTATE; whole codes win over classes. */
const CODES_BY_SQLSTATE: Readonly<Record<string, ErrorCode>> = {
  "08": "database_unavailable", // connection exceptions, a pooler's refusals among them
  "28": "database_unavailable", // refused logins: a rotated password reaches the two sides one after the other
  "3D": "database_unavailable", // no such database (yet)
  "53": "database_unavailable", // out of connections, memory or disk
  "58": "database_unavailable", // the server's own input and output
  "57P01": "database_unavailable", // shut down by an administrator, or a failover
  "57P02": "database_unavailable",
  "57P03": "database_unavailable", // starting up or shutting down
  "57P05": "database_unavailable", // idle for too long
  "25006": "database_unavailable", // read-only: a standby that was not promoted yet
  "25P03": "database_timeout", // idle in a transaction for too long
  "57014": "database_timeout", // statement_timeout
  "55P03": "database_timeout", // lock_timeout
  "40001": "database_conflict",
  "40P01": "database_conflict",
  "22": "database_value_refused", // a value no column can hold: U+0000 in a text, a number out of range
  "23514": "database_value_refused", // a check constraint
  KS001: "leadership_lost", // ours: hold_reign in 0001-credentials.sql
  KS002: "data_key_replaced", // ours: hold_active_data_key in 0007-data-key-rotation.sql
  "42501": "database_forbidden",
};

/** SQLSTATE of an error Postgres sent, or `undefined` when the error came from elsewhere. */
export function sqlStateOf(thrown: unknown): string | undefined {
  if (thrown instanceof KeysteadError) return sqlStateOf(thrown.cause);
  return thrown instanceof DatabaseError ? thrown.code : undefined;
}

/** What Postgres added to the message of an error, if it did. */
export function detailOf(thrown: unknown): string | undefined {
  if (thrown instanceof KeysteadError) return detailOf(thrown.cause);
  return thrown instanceof DatabaseError ? thrown.detail : undefined;
}

/**
 * Turns what `pg` threw into a `KeysteadError`, keeping it as the cause. Whatever Postgres did not send came from the
 * connection: refused, reset, timed out, TLS. `pg` puts no connection string into its messages, and neither do we.
 */
export function databaseError(thrown: unknown): KeysteadError {
  if (thrown instanceof KeysteadError) return thrown;
  const message = messageOf(thrown);
  const sqlState = sqlStateOf(thrown);
  if (sqlState === undefined) {
    return new KeysteadError("database_unavailable", `the database cannot be reached: ${message}`, { cause: thrown });
  }
  const code = CODES_BY_SQLSTATE[sqlState] ?? CODES_BY_SQLSTATE[sqlState.slice(0, 2)] ?? "database_error";
  return new KeysteadError(code, `the database answered: ${message} (SQLSTATE ${sqlState})`, {
    cause: thrown,
    details: { sqlState },
  });
}

/** Whether the connection an error came from can serve another statement. */
export function connectionSurvives(error: KeysteadError): boolean {
  return sqlStateOf(error) !== undefined && error.code !== "database_unavailable";
}

/** Connecting to several addresses of one name fails with an `AggregateError`, whose own message is empty. */
function messageOf(thrown: unknown): string {
  if (thrown instanceof AggregateError) return thrown.errors.map(messageOf).join("; ");
  return thrown instanceof Error ? thrown.message : String(thrown);
}
