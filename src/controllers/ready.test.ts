import { expect, test } from "vitest";
import { KeysteadError } from "../errors.ts";
import type { Condition } from "../kube/conditions.ts";
import { REASONS, type Reason } from "../resources/reasons.ts";
import { gone, settled, stalled, suspended, waiting } from "./outcome.ts";
import { conditionsOf } from "./ready.ts";

function ready(status: Condition["status"]): Condition {
  return {
    type: "Ready",
    status,
    reason: "Any",
    message: "As it was.",
    lastTransitionTime: "2026-11-24T07:00:00Z",
    observedGeneration: 3,
  };
}

/** `Type=Status Reason` of each condition, in order. */
function summaryOf(...args: Parameters<typeof conditionsOf>): string[] | undefined {
  return conditionsOf(...args)?.map(({ type, status, reason }) => `${type}=${status} ${reason}`);
}

test("a settled pass is Ready and nothing else", () => {
  expect(summaryOf(settled("Stored.", {}), ready("False"))).toEqual(["Ready=True Succeeded"]);
});

test("suspension changes only the reason", () => {
  expect(summaryOf(suspended(), undefined)).toEqual(["Ready=Unknown Suspended"]);
  expect(summaryOf(suspended(), ready("True"))).toEqual(["Ready=True Suspended"]);
  expect(summaryOf(suspended(), ready("False"))).toEqual(["Ready=False Suspended"]);
});

test.each([
  { before: undefined, now: "Ready=Unknown SecretNotFound", why: "it never got there" },
  { before: "Unknown", now: "Ready=Unknown SecretNotFound", why: "nothing is known yet" },
  { before: "False", now: "Ready=Unknown SecretNotFound", why: "the failure before is over, and what follows is open" },
  { before: "True", now: "Ready=True Any", why: "what was stored is still served, at the generation it was stored at" },
] as const)("a wait after Ready=$before gives $now, because $why", ({ before, now }) => {
  const outcome = waiting("SecretNotFound", "It is missing.");
  expect(summaryOf(outcome, before && ready(before))).toEqual([now, "Reconciling=True SecretNotFound"]);
});

test("Ready that is kept keeps message and generation as well", () => {
  expect(conditionsOf(waiting("SecretNotFound", "It is missing."), ready("True"))?.[0]).toEqual(ready("True"));
});

test.each([
  { before: undefined, now: "Unknown" },
  { before: "Unknown", now: "Unknown" },
  { before: "False", now: "False" },
  { before: "True", now: "False" },
] as const)("a parent that is gone takes Ready along: $before becomes $now", ({ before, now }) => {
  for (const reason of ["EnvironmentNotFound", "IntegrationNotFound"] as const) {
    expect(summaryOf(waiting(reason, "It is gone."), before && ready(before))).toEqual([
      `Ready=${now} ${reason}`,
      `Reconciling=True ${reason}`,
    ]);
  }
});

test("a stall is Ready=False whatever was before", () => {
  for (const before of [undefined, ready("True"), ready("Unknown")]) {
    expect(summaryOf(stalled("InvalidSpec", "It is wrong."), before)).toEqual([
      "Ready=False InvalidSpec",
      "Stalled=True InvalidSpec",
    ]);
  }
});

test("a failure that leaves the stored credential served keeps Ready, and is Ready=False where there never was one", () => {
  const failed = stalled("Failed", "It cannot be stored.");
  expect(summaryOf(failed, ready("True"))).toEqual(["Ready=True Any", "Stalled=True Failed"]);
  for (const before of [undefined, ready("Unknown"), ready("False")]) {
    expect(summaryOf(failed, before)).toEqual(["Ready=False Failed", "Stalled=True Failed"]);
  }
});

test("trouble of the installation is told where it has a reason, and otherwise nothing is said", () => {
  const cause = new KeysteadError("database_unavailable", "gone");
  const told = { kind: "retry", cause, reason: "DatabaseUnavailable", message: "Away." } as const;
  expect(summaryOf(told, ready("True"))).toEqual(["Ready=True Any", "Reconciling=True DatabaseUnavailable"]);
  expect(summaryOf({ kind: "retry", cause }, ready("True"))).toBeUndefined();
  expect(summaryOf(gone(), ready("True"))).toBeUndefined();
});

test("no reason of the list gives both Reconciling and Stalled, and Ready always comes first", () => {
  for (const reason of Object.keys(REASONS) as Reason[]) {
    const types = conditionsOf(waiting(reason, "A sentence."), undefined)?.map(({ type }) => type);
    expect(types?.[0]).toBe("Ready");
    expect(types?.length).toBeLessThanOrEqual(2);
  }
});
