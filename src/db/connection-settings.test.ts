import { DatabaseError } from "pg";
import { expect, test } from "vitest";
import { Secret } from "../crypto/secret.ts";
import { createConnectionSettings } from "./connection-settings.ts";

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

function refusal(code: string): DatabaseError {
  return Object.assign(new DatabaseError("refused", 0, "error"), { code });
}
