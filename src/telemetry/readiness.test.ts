import { expect, test } from "vitest";
import { createDatabaseReadiness } from "./readiness.ts";

/** A readiness with a clock that only the test moves, in seconds. */
function atSecond() {
  let seconds = 0;
  const readiness = createDatabaseReadiness(() => seconds * 1_000);
  return { readiness, passTo: (second: number) => (seconds = second) };
}

test("a process is not ready before its encryption key is proven, even when the database answers", () => {
  const { readiness } = atSecond();
  readiness.reached();
  expect(readiness.verdict()).toMatchObject({ ok: false, reason: expect.stringContaining("encryption key") });
  readiness.proven();
  expect(readiness.verdict()).toEqual({ ok: true });
});

test("an outage of the database is forgiven for 60 seconds and ends with the first answer", () => {
  const { readiness, passTo } = atSecond();
  readiness.proven();
  passTo(60);
  expect(readiness.verdict()).toEqual({ ok: true });
  passTo(61);
  expect(readiness.verdict()).toMatchObject({ ok: false, reason: expect.stringContaining("60 s") });
  readiness.reached();
  expect(readiness.verdict()).toEqual({ ok: true });
});

test("a process that is about to end is not ready, whatever the database says", () => {
  const { readiness } = atSecond();
  readiness.proven();
  readiness.draining();
  readiness.reached();
  expect(readiness.verdict()).toMatchObject({ ok: false, reason: expect.stringContaining("shutting down") });
});
