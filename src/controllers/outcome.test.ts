import { expect, test } from "vitest";
import { ERRORS, type ErrorCode, KeysteadError } from "../errors.ts";
import { apiError } from "../kube/api-error.ts";
import { outcomeOfError, toldRetry } from "./outcome.ts";

test("a database that is away is told to the owner of the resource, without how it is away", () => {
  const outcome = outcomeOfError(new KeysteadError("database_unavailable", "connect ECONNREFUSED 10.0.0.7:5432"));
  expect(outcome).toMatchObject({ kind: "retry", reason: "DatabaseUnavailable" });
  expect("message" in outcome && outcome.message).not.toContain("10.0.0.7");
});

test.each([
  { code: "connection_id_in_use", reason: "ConnectionIdInUse", advice: "spec.connectionId" },
  { code: "integration_key_in_use", reason: "IntegrationKeyInUse", advice: "under another name" },
] as const)("$code stalls with $reason, says what is in the way and what to do", ({ code, reason, advice }) => {
  const outcome = outcomeOfError(new KeysteadError(code, "id acme is in use by Connection shop/other"));
  expect(outcome).toMatchObject({ kind: "stalled", reason });
  expect("message" in outcome && outcome.message).toMatch(/^Id acme is in use by Connection shop\/other\. Delete /);
  expect("message" in outcome && outcome.message).toContain(advice);
});

test.each([
  { code: "restore_not_found", reason: "RestoreNotFound" },
  { code: "restore_not_managed", reason: "RestoreNotManaged" },
  { code: "restore_forbidden", reason: "RestoreForbidden" },
  { code: "restore_alive", reason: "RestoreAlive" },
  { code: "restore_conflict", reason: "RestoreConflict" },
] as const)("a restore that ends with $code stalls with $reason and says how to go on", ({ code, reason }) => {
  const outcome = outcomeOfError(new KeysteadError(code, "environment 1 cannot come back"));
  expect(outcome).toMatchObject({ kind: "stalled", reason });
  expect("message" in outcome && outcome.message).toMatch(/^Environment 1 cannot come back\. .*spec\.restoreFrom/);
});

test.each([
  { code: "environment_superseded", reason: "Superseded", advice: "Delete this resource" },
  { code: "adopt_refused", reason: "AdoptRefused", advice: "KEYSTEAD_SECRET_KEY" },
  { code: "adopt_conflict", reason: "AdoptConflict", advice: "spec.adopt" },
] as const)("$code stalls with $reason and says what to do", ({ code, reason, advice }) => {
  const outcome = outcomeOfError(new KeysteadError(code, "environment 1 is another one's"));
  expect(outcome).toMatchObject({ kind: "stalled", reason, message: expect.stringContaining(advice) });
});

test("a right that is missing stalls, and the message says whom to grant it to", () => {
  const said =
    'secrets is forbidden: User "system:serviceaccount:keystead:controller" cannot create resource "secrets"';
  const body = JSON.stringify({ kind: "Status", message: said, reason: "Forbidden" });
  const outcome = outcomeOfError(apiError("GET /secrets", 403, body));
  expect(outcome).toMatchObject({ kind: "stalled", reason: "PermissionDenied" });
  expect("message" in outcome && outcome.message).toContain("ServiceAccount of the controller");
});

test.each([
  'secrets "production-keystead" is forbidden: exceeded quota: small, requested: secrets=1, used: secrets=10, limited: secrets=10',
  'admission webhook "policy.example.com" denied the request: no Secrets on a Friday',
])("a refusal that no right would change is not called a missing right: %s", (said) => {
  const body = JSON.stringify({ kind: "Status", message: said, reason: "Forbidden" });
  const outcome = outcomeOfError(apiError("POST /secrets", 403, body));
  expect(outcome).toMatchObject({ kind: "stalled", reason: "AdmissionDenied", message: expect.stringContaining(said) });
  expect(outcome).not.toMatchObject({ message: expect.stringContaining("ServiceAccount") });
});

test("a namespace that is going refuses everything new: that is waited out, not a missing right", () => {
  const details = { causes: [{ reason: "NamespaceTerminating", message: "namespace shop is being terminated" }] };
  const body = JSON.stringify({ kind: "Status", message: "forbidden", reason: "Forbidden", details });
  expect(outcomeOfError(apiError("POST /secrets", 403, body))).toMatchObject({ kind: "retry" });
});

test.each([
  { code: "environment_gone", reason: "EnvironmentNotReady" },
  { code: "integration_gone", reason: "IntegrationNotReady" },
] as const)("$code means that the resource waits for a parent, with nothing stored of it", ({ code, reason }) => {
  const outcome = outcomeOfError(new KeysteadError(code, "any"));
  expect(outcome).toMatchObject({ kind: "waiting", reason, nothingStored: true });
});

test("every other error is retried when that can help, and told when it cannot", () => {
  const ownReason = new Set([
    "database_unavailable",
    "connection_id_in_use",
    "integration_key_in_use",
    "kube_forbidden",
    "environment_superseded",
    ...Object.keys(ERRORS).filter((code) => /^(?:restore|adopt)_/.test(code)),
  ]);
  const waits = new Set(["environment_gone", "integration_gone"]);
  const movedOn = new Set(["kube_already_exists", "kube_not_found"]);
  for (const code of (Object.keys(ERRORS) as ErrorCode[]).filter((one) => !ownReason.has(one) && !waits.has(one))) {
    const cause = new KeysteadError(code, "any");
    const expected =
      cause.retryable || movedOn.has(code) ? { kind: "retry", cause } : { kind: "stalled", reason: "Failed" };
    expect(outcomeOfError(cause), code).toMatchObject(expected);
  }
});

test("a retry that goes on failing is told in words that stay the same, whatever its cause says each time", () => {
  const [one, other] = ["1.2.3.4:5678->5.6.7.8:443: reset", "1.2.3.4:5679->5.6.7.8:443: reset"].map((said) => {
    const body = JSON.stringify({
      kind: "Status",
      reason: "InternalError",
      message: `failed calling webhook: ${said}`,
    });
    return toldRetry(outcomeOfError(apiError("POST /secrets", 500, body)));
  });
  expect(one).toMatchObject({
    kind: "retry",
    reason: "ProgressingWithRetry",
    message: expect.stringMatching(/^The API server, or a webhook .*kube_api_error.*log/),
  });
  expect(other).toEqual({ ...one, cause: expect.anything() });
  const database = toldRetry(outcomeOfError(new KeysteadError("database_timeout", "the statement took too long")));
  expect(database).toMatchObject({ message: expect.stringMatching(/^The database .*database_timeout/) });
});
