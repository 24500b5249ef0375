import { DatabaseError } from "pg";
import { expect, test } from "vitest";
import { KeysteadError } from "../errors.ts";
import { connectionSurvives, databaseError, sqlStateOf } from "./database-errors.ts";

test.each([
  ["08006", "database_unavailable", false, "the connection failed"],
  ["08P01", "database_unavailable", false, "a pooler refused a parameter"],
  ["28P01", "database_unavailable", false, "the password is being rotated"],
  ["3D000", "database_unavailable", false, "the database is not there yet"],
  ["53300", "database_unavailable", false, "no connection is left"],
  ["53100", "database_unavailable", false, "the disk is full"],
  ["57P01", "database_unavailable", false, "the server is shut down"],
  ["57P03", "database_unavailable", false, "the server is starting"],
  ["25006", "database_unavailable", false, "this is still the standby"],
  ["57014", "database_timeout", true, "the statement took too long"],
  ["55P03", "database_timeout", true, "a lock was not to be had"],
  ["40001", "database_conflict", true, "the transaction met another one"],
  ["40P01", "database_conflict", true, "the transactions locked each other out"],
  ["22P05", "database_value_refused", true, "a text with U+0000"],
  ["23514", "database_value_refused", true, "a check constraint"],
  ["42501", "database_forbidden", true, "a missing right"],
  ["23505", "database_error", true, "a duplicate nobody expected"],
  ["XX000", "database_error", true, "a defect of the server"],
])("SQLSTATE %s is %s; the connection goes on: %s (%s)", (sqlState, code, survives) => {
  const error = databaseError(fromPostgres(sqlState));
  expect(error).toMatchObject({ code, details: { sqlState }, cause: { code: sqlState } });
  expect(connectionSurvives(error)).toBe(survives);
  expect(sqlStateOf(error)).toBe(sqlState);
});

test("what Postgres did not say came from the connection, and that is not used again", () => {
  const reset = Object.assign(new RangeError("read ECONNRESET"), { code: "ECONNRESET" });
  const error = databaseError(reset);
  expect(error).toMatchObject({ code: "database_unavailable", cause: reset });
  expect(connectionSurvives(error)).toBe(false);
});

test("failures of several addresses are all told", () => {
  const failures = new AggregateError([new RangeError("ECONNREFUSED ::1"), new RangeError("ECONNREFUSED 127.0.0.1")]);
  expect(databaseError(failures).message).toMatch(/::1.*127\.0\.0\.1/);
});

test("an error of ours passes as it is", () => {
  const error = new KeysteadError("row_changed", "the row changed");
  expect(databaseError(error)).toBe(error);
});

function fromPostgres(code: string): DatabaseError {
  return Object.assign(new DatabaseError("message of the server", 0, "error"), { code });
}
