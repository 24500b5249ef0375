import { expect, test } from "vitest";
import { KeysteadError } from "../errors.ts";
import { noticeOf } from "./notice.ts";
import { type Outcome, settled, stalled, suspended, waiting } from "./outcome.ts";
import { type ResourceStatus, statusAfter } from "./status.ts";

/** The notices of a resource that goes through these endings one after the other. */
function noticesOf(...outcomes: readonly Outcome[]): (string | undefined)[] {
  let status: ResourceStatus = { observedGeneration: -1 };
  return outcomes.map((outcome) => {
    const before = status;
    status = statusAfter(before, outcome, 1, new Date());
    return noticeOf(before, status, outcome)?.reason;
  });
}

const READY = settled("Stored.", {});
const MISSING = waiting("SecretNotFound", "Secret acme does not exist.");
const MISMATCH = stalled("CredentialsMismatch", "They do not match.");

test.each([
  { life: "ready at once", outcomes: [READY, READY], notices: [undefined, undefined] },
  { life: "waits, then ready for the first time", outcomes: [MISSING, READY], notices: ["SecretNotFound", undefined] },
  { life: "waits on and on", outcomes: [MISSING, MISSING], notices: ["SecretNotFound", undefined] },
  {
    life: "one trouble after another",
    outcomes: [MISSING, MISMATCH],
    notices: ["SecretNotFound", "CredentialsMismatch"],
  },
  {
    life: "a failure that ends",
    outcomes: [READY, MISMATCH, READY],
    notices: [undefined, "CredentialsMismatch", "Recovered"],
  },
  {
    life: "trouble that leaves it ready",
    outcomes: [READY, MISSING, READY],
    notices: [undefined, "SecretNotFound", undefined],
  },
  { life: "suspended", outcomes: [READY, suspended(), READY], notices: [undefined, undefined, undefined] },
])("$life: $notices", ({ outcomes, notices }) => {
  expect(noticesOf(...outcomes)).toEqual(notices);
});

test("trouble of the whole installation is no event of each resource", () => {
  const cause = new KeysteadError("database_unavailable", "gone");
  expect(noticesOf(READY, { kind: "retry", cause, reason: "DatabaseUnavailable", message: "Away." })).toEqual([
    undefined,
    undefined,
  ]);
});

test("what is in the way is a warning with the condition's own sentence, its end is none", () => {
  const before: ResourceStatus = { observedGeneration: -1 };
  const failed = statusAfter(before, MISMATCH, 1, new Date());
  expect(noticeOf(before, failed, MISMATCH)).toEqual({
    type: "Warning",
    reason: "CredentialsMismatch",
    note: "They do not match.",
  });
  expect(noticeOf(failed, statusAfter(failed, READY, 1, new Date()), READY)?.type).toBe("Normal");
});
