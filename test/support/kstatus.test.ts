import { expect, test } from "vitest";
import { kstatusOf } from "./kstatus.ts";
import type { Observed, ObservedCondition } from "./resources.ts";

// The rules themselves, so that the tests which judge by them judge by the right ones.

const METADATA = { name: "acme", uid: "1", resourceVersion: "1", generation: 2 };

function condition(type: string, status: string): ObservedCondition {
  return { type, status, reason: "Any", message: "Any.", lastTransitionTime: "2026-11-24T07:00:00Z" };
}

test.each<{ why: string; object: Partial<Observed>; expected: string }>([
  { why: "an object without any status counts as done", object: {}, expected: "Current" },
  { why: "which our default of -1 avoids", object: { status: { observedGeneration: -1 } }, expected: "InProgress" },
  { why: "an old generation", object: { status: { observedGeneration: 1 } }, expected: "InProgress" },
  {
    why: "deletion comes before all else",
    object: { metadata: { ...METADATA, deletionTimestamp: "2026-11-24T07:00:00Z" }, status: { observedGeneration: 1 } },
    expected: "Terminating",
  },
  {
    why: "Stalled fails whatever Ready says",
    object: {
      status: { observedGeneration: 2, conditions: [condition("Ready", "True"), condition("Stalled", "True")] },
    },
    expected: "Failed",
  },
  {
    why: "a Stalled that is not True is none",
    object: {
      status: { observedGeneration: 2, conditions: [condition("Stalled", "False"), condition("Ready", "True")] },
    },
    expected: "Current",
  },
  {
    why: "the first of Reconciling and Stalled decides",
    object: {
      status: { observedGeneration: 2, conditions: [condition("Reconciling", "True"), condition("Stalled", "True")] },
    },
    expected: "InProgress",
  },
  {
    why: "Ready=False alone is no failure",
    object: { status: { observedGeneration: 2, conditions: [condition("Ready", "False")] } },
    expected: "InProgress",
  },
])("$why: $expected", ({ object, expected }) => {
  expect(kstatusOf({ metadata: METADATA, ...object })).toBe(expected);
});
