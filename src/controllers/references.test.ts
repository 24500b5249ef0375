import * as fc from "fast-check";
import { expect, test } from "vitest";
import { createReferenceIndex } from "./references.ts";

test("a target finds every owner that refers to it, and none that does not any more", () => {
  const index = createReferenceIndex();
  index.update("a", [], ["x", "y"]);
  index.update("b", [], ["x"]);
  expect([...index.ownersOf("x")]).toEqual(["a", "b"]);
  index.update("a", ["x", "y"], ["y", "z"]);
  expect([...index.ownersOf("x")]).toEqual(["b"]);
  expect([...index.ownersOf("z")]).toEqual(["a"]);
  index.update("b", ["x"], []);
  expect(index.has("x")).toBe(false);
});

test("an owner that names a target twice is found once, and is gone with one update", () => {
  const index = createReferenceIndex();
  index.update("a", [], ["x", "x"]);
  expect([...index.ownersOf("x")]).toEqual(["a"]);
  index.update("a", ["x", "x"], []);
  expect(index.has("x")).toBe(false);
});

test("whatever the order of updates, it holds what a plain table of owners would", () => {
  const targets = fc.uniqueArray(fc.constantFrom("t", "u", "v", "w"), { maxLength: 3 });
  const updates = fc.array(fc.tuple(fc.constantFrom("a", "b", "c", "d"), targets), { maxLength: 40 });
  fc.assert(
    fc.property(updates, (steps) => {
      const index = createReferenceIndex();
      const table = new Map<string, readonly string[]>();
      for (const [owner, now] of steps) {
        index.update(owner, table.get(owner) ?? [], now);
        table.set(owner, now);
      }
      for (const target of ["t", "u", "v", "w"]) {
        const owners = [...table].filter(([, refers]) => refers.includes(target)).map(([owner]) => owner);
        expect(new Set(index.ownersOf(target))).toEqual(new Set(owners));
        expect(index.has(target)).toBe(owners.length > 0);
        expect(index.count(target)).toBe(owners.length);
        expect([...index.shared()].some(([shared]) => shared === target)).toBe(owners.length > 1);
      }
    }),
  );
});
