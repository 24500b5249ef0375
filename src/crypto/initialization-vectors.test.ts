import { expect, test } from "vitest";
import { createInitializationVectors } from "./initialization-vectors.ts";

test("bad case 17: no IV comes twice in 2^20 draws", () => {
  const next = createInitializationVectors();
  const seen = new Set<string>();
  for (let draw = 0; draw < 2 ** 20; draw += 1) seen.add(next().toString("latin1"));
  expect(seen.size).toBe(2 ** 20);
});

test("bad case 17: an IV somebody holds does not change when the pool is drawn again", () => {
  const next = createInitializationVectors();
  const held = next();
  const before = held.toString("hex");
  for (let draw = 0; draw < 2_000; draw += 1) next();
  expect(held.toString("hex")).toBe(before);
});

test("two sources do not draw the same", () => {
  const [a, b] = [createInitializationVectors(), createInitializationVectors()];
  expect(a()).not.toEqual(b());
});
