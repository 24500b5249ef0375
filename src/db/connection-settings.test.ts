import { DatabaseError } from "pg";
import { expect, test } from "vitest";
import { Secret } from "../crypto/secret.ts";
import { createConnectionSettings, parseInstant } from "./connection-settings.ts";

const options = { url: new Secret("postgres://localhost/keystead"), applicationName: "test", statementTimeoutMs: 700 };

test("a direct connection gets its limits at login, and transactions need no word about them", () => {
  const settings = createConnectionSettings(options);
  expect(settings.clientConfig()).toMatchObject({ statement_timeout: 700, query_timeout: 2_700 });
  expect(settings.beginStatement()).toBe("begin");
});

test("where parameters at login are refused, each transaction sets its limits for itself", () => {
  const settings = createConnectionSettings(options);
  expect(settings.droppedStartupLimits(refusal("08P01"))).toBe(true);
  expect(settings.clientConfig()).not.toHaveProperty("statement_timeout");
  expect(settings.beginStatement()).toContain("set local statement_timeout = 700");
  expect(settings.beginStatement()).not.toMatch(/set (?!local)/);
});

test("limits are given up once, and only for that refusal", () => {
  const settings = createConnectionSettings(options);
  expect(settings.droppedStartupLimits(refusal("28P01"))).toBe(false);
  expect(settings.droppedStartupLimits(new RangeError("ECONNREFUSED"))).toBe(false);
  expect(settings.droppedStartupLimits(refusal("08P01"))).toBe(true);
  expect(settings.droppedStartupLimits(refusal("08P01"))).toBe(false);
});

test.each([
  ["2026-11-24 07:27:07.366052+00", "2026-11-24T07:27:07.366Z"],
  ["2026-11-24 07:27:07+00", "2026-11-24T07:27:07.000Z"],
  ["2026-11-24 07:27:07.9+02", "2026-11-24T05:27:07.900Z"],
  ["2026-11-24 07:27:07.12-03:30", "2026-11-24T10:57:07.120Z"],
  ["1969-12-31 23:59:59.999999+00", "1969-12-31T23:59:59.999Z"],
  ["0001-01-01 00:00:00+00", "0001-01-01T00:00:00.000Z"],
])("the instant %s of Postgres is %s", (text, expected) => {
  expect(parseInstant(text).toISOString()).toBe(expected);
});

test("an instant that no Date can hold is not taken for another one", () => {
  expect(parseInstant("infinity")).toBe(Infinity);
});

function refusal(code: string): DatabaseError {
  return Object.assign(new DatabaseError("refused", 0, "error"), { code });
}
