import { expect, test } from "vitest";
import { KeysteadError } from "../errors.ts";
import { apiError } from "./api-error.ts";
import { retryDelayMs } from "./retry.ts";

const action = "GET /x";
const refusedConnection = new KeysteadError("kube_unreachable", "x", { details: { networkCode: "ECONNREFUSED" } });
const brokenConnection = new KeysteadError("kube_unreachable", "x", { details: { networkCode: "ECONNRESET" } });
const throttled = (seconds: string) => apiError(action, 429, "{}", seconds);

const half = (): number => 0.5;

test.each([
  { why: "never sent, so harmless to repeat", error: refusedConnection, idempotent: false, attempts: 1, delay: 50 },
  { why: "broken, and repeating is harmless", error: brokenConnection, idempotent: true, attempts: 2, delay: 100 },
  {
    why: "broken, and it may have taken effect",
    error: brokenConnection,
    idempotent: false,
    attempts: 1,
    delay: undefined,
  },
  { why: "silent", error: new KeysteadError("kube_timeout", "x"), idempotent: true, attempts: 1, delay: 50 },
  { why: "500", error: apiError(action, 500, "{}"), idempotent: true, attempts: 1, delay: 50 },
  { why: "500 for a create", error: apiError(action, 500, "{}"), idempotent: false, attempts: 1, delay: undefined },
  {
    why: "503 that names a time",
    error: apiError(action, 503, "{}", "2"),
    idempotent: true,
    attempts: 1,
    delay: 2_250,
  },
  { why: "enough is enough", error: brokenConnection, idempotent: true, attempts: 4, delay: undefined },
  { why: "throttled, before anything was done", error: throttled("1"), idempotent: false, attempts: 9, delay: 1_125 },
  { why: "throttled without a time", error: apiError(action, 429, "{}"), idempotent: false, attempts: 1, delay: 50 },
  {
    why: "throttled for longer than a call may wait",
    error: throttled("31"),
    idempotent: true,
    attempts: 1,
    delay: undefined,
  },
  { why: "throttled for no time at all", error: throttled("0"), idempotent: true, attempts: 1, delay: 50 },
  {
    why: "503 of an hour",
    error: apiError(action, 503, "{}", "3600"),
    idempotent: true,
    attempts: 1,
    delay: undefined,
  },
  { why: "an answer", error: apiError(action, 409, "{}"), idempotent: true, attempts: 1, delay: undefined },
  {
    why: "redirects are not followed",
    error: apiError(action, 307, "{}"),
    idempotent: true,
    attempts: 1,
    delay: undefined,
  },
  {
    why: "given up by the caller",
    error: new KeysteadError("kube_call_aborted", "x"),
    idempotent: true,
    attempts: 1,
    delay: undefined,
  },
])("$why", ({ error, idempotent, attempts, delay }) => {
  expect(retryDelayMs({ error, idempotent, attempts }, half)).toBe(delay);
});
