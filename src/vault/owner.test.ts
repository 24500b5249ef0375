import * as fc from "fast-check";
import { expect, test } from "vitest";
import { sameSources, type SecretSource } from "./owner.ts";

const source = fc.record<SecretSource>({
  name: fc.constantFrom("a", "b", "c"),
  uid: fc.constantFrom("1", "2"),
  resourceVersion: fc.constantFrom("10", "11"),
});
const sources = fc.uniqueArray(source, { selector: ({ name }) => name });

test("sources are the same in whatever order they were read", () => {
  fc.assert(
    fc.property(sources, (list) => {
      expect(sameSources(list, list.toReversed())).toBe(true);
    }),
  );
});

test("sources are the same only if every Secret is, in name, uid and version", () => {
  fc.assert(
    fc.property(sources, sources, (a, b) => {
      expect(sameSources(a, b)).toBe(keyed(a).join() === keyed(b).join());
    }),
  );
});

function keyed(list: readonly SecretSource[]): string[] {
  return list.map(({ name, uid, resourceVersion }) => `${name} ${uid} ${resourceVersion}`).toSorted();
}
