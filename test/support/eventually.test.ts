import { expect, test } from "vitest";
import { eventually } from "./eventually.ts";

test("an assertion that passes in the end gives its value", async () => {
  let calls = 0;
  const value = await eventually(() => {
    calls++;
    expect(calls).toBeGreaterThan(3);
    return "settled";
  });
  expect(value).toBe("settled");
});

test("after the deadline the assertion's own error is what the test shows", async () => {
  await expect(eventually(() => expect("sealed").toBe("open"), { deadlineMs: 20 })).rejects.toThrow("sealed");
});
