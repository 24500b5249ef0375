import { expect, test } from "vitest";
import { settled, waiting } from "./outcome.ts";
import { type ResourceStatus, readyOf, statusAfter } from "./status.ts";

const NOW = new Date("2026-11-24T08:00:00.700Z");
const LATER = new Date("2026-11-24T09:00:00Z");
const NEW: ResourceStatus = { observedGeneration: -1 };

test("the first pass sets the generation, the conditions and what was found out", () => {
  expect(statusAfter(NEW, settled("Stored.", { connectionId: "1" }), 1, NOW)).toEqual({
    observedGeneration: 1,
    connectionId: "1",
    conditions: [
      {
        type: "Ready",
        status: "True",
        reason: "Succeeded",
        message: "Stored.",
        lastTransitionTime: "2026-11-24T08:00:00Z",
        observedGeneration: 1,
      },
    ],
  });
});

test("the same ending later is the very same status, so that nothing is written", () => {
  const outcome = settled("Stored.", { connectionId: "1", credentials: { type: "API_KEY" } });
  const before = statusAfter(NEW, outcome, 1, NOW);
  expect(statusAfter(before, outcome, 1, LATER)).toBe(before);
});

test("a field that is undefined equals one that is missing", () => {
  const before = statusAfter(NEW, settled("Stored.", { connectionId: "1" }), 1, NOW);
  expect(statusAfter({ ...before }, settled("Stored.", { connectionId: "1", expiresAt: undefined }), 1, LATER)).toEqual(
    before,
  );
});

test("what an earlier pass found out stays through a wait and goes only when a settled pass replaces it", () => {
  const stored = statusAfter(NEW, settled("Stored.", { connectionId: "1" }), 1, NOW);
  const waits = statusAfter(stored, waiting("SecretNotFound", "Missing."), 2, LATER);
  expect(waits).toMatchObject({ observedGeneration: 2, connectionId: "1" });
  expect(statusAfter(waits, settled("Stored.", { connectionId: "2" }), 2, LATER)).toMatchObject({ connectionId: "2" });
});

test("the time of a transition moves with Ready's status and with nothing else", () => {
  const first = statusAfter(NEW, waiting("SecretNotFound", "Missing."), 1, NOW);
  const other = statusAfter(first, waiting("EnvironmentNotReady", "Not yet."), 1, LATER);
  expect(readyOf(other)?.lastTransitionTime).toBe(readyOf(first)?.lastTransitionTime);
  const done = statusAfter(other, settled("Stored.", {}), 1, LATER);
  expect(readyOf(done)?.lastTransitionTime).toBe("2026-11-24T09:00:00Z");
});
