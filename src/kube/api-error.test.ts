import { expect, test } from "vitest";
import { apiError, apiErrorDetails, isNamespaceTerminating, isObjectRefused, watchError } from "./api-error.ts";

const status = (more: object) => JSON.stringify({ kind: "Status", apiVersion: "v1", ...more });

test.each([
  { code: 400, reason: "BadRequest", expected: "kube_invalid" },
  { code: 401, reason: "Unauthorized", expected: "kube_unauthorized" },
  { code: 403, reason: "Forbidden", expected: "kube_forbidden" },
  { code: 404, reason: "NotFound", expected: "kube_not_found" },
  { code: 409, reason: "Conflict", expected: "kube_conflict" },
  { code: 409, reason: "AlreadyExists", expected: "kube_already_exists" },
  { code: 410, reason: "Expired", expected: "kube_expired" },
  { code: 413, reason: "RequestEntityTooLarge", expected: "kube_invalid" },
  { code: 422, reason: "Invalid", expected: "kube_invalid" },
  { code: 429, reason: "TooManyRequests", expected: "kube_throttled" },
  { code: 500, reason: "InternalError", expected: "kube_api_error" },
  { code: 504, reason: "Timeout", expected: "kube_timeout" },
])("$code $reason becomes $expected", ({ code, reason, expected }) => {
  expect(apiError("GET /x", code, status({ reason, message: "because" }))).toMatchObject({
    code: expected,
    message: `GET /x was answered ${code} ${reason}: because`,
    details: { status: code, reason, causes: [] },
  });
});

test("the time to wait comes from the body before the header", () => {
  const body = status({ reason: "TooManyRequests", details: { retryAfterSeconds: 3 } });
  expect(apiErrorDetails(apiError("GET /x", 429, body, "7"))?.retryAfterSeconds).toBe(3);
  expect(apiErrorDetails(apiError("GET /x", 429, "", "7"))?.retryAfterSeconds).toBe(7);
  expect(
    apiErrorDetails(apiError("GET /x", 429, "", "Wed, 21 Oct 2026 07:28:00 GMT"))?.retryAfterSeconds,
  ).toBeUndefined();
});

test("an answer of something in between keeps its words, but not a whole page of them", () => {
  const error = apiError("GET /x", 502, `<html>${"bad gateway ".repeat(1_000)}`);
  expect(error.code).toBe("kube_api_error");
  expect(error.message).toContain("bad gateway");
  expect(error.message.length).toBeLessThan(1_100);
  expect(apiError("GET /x", 503, "").message).toBe("GET /x was answered 503 : no message");
});

test("an ERROR frame of a watch is read like an answer", () => {
  expect(watchError("Watch", { kind: "Status", code: 410, reason: "Expired" }).code).toBe("kube_expired");
  expect(watchError("Watch", { kind: "Status", code: 500 }).code).toBe("kube_api_error");
  expect(watchError("Watch", null).code).toBe("kube_api_error");
});

test("bad case 26: a create in a namespace that goes away is recognised", () => {
  const body = status({ reason: "Forbidden", details: { causes: [{ reason: "NamespaceTerminating" }] } });
  expect(isNamespaceTerminating(apiError("POST /x", 403, body))).toBe(true);
  expect(isNamespaceTerminating(apiError("POST /x", 403, status({ reason: "Forbidden" })))).toBe(false);
  expect(isNamespaceTerminating(new Error("NamespaceTerminating"))).toBe(false);
});

test("an object that its schema refuses is told from a patch that did not fit", () => {
  const causes = [{ reason: "FieldValueInvalid", message: "must be a duration", field: "spec.retention" }];
  expect(isObjectRefused(apiError("PATCH /x", 422, status({ reason: "Invalid", details: { causes } })))).toBe(true);
  expect(isObjectRefused(apiError("PATCH /x", 422, status({ reason: "Invalid", details: {} })))).toBe(false);
  expect(isObjectRefused(apiError("PATCH /x", 409, status({ reason: "Conflict", details: { causes } })))).toBe(false);
});
