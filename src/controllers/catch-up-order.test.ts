import { expect, test } from "vitest";
import { catchUpOrder } from "./catch-up-order.ts";
import { createReferenceIndex } from "./references.ts";
import { targetKey } from "./targets.ts";

/** The order of Connections that refer to these Secrets, in the order in which they are written down. */
function orderOf(secretsOf: Readonly<Record<string, readonly string[]>>): string[] {
  const references = createReferenceIndex();
  const names = Object.keys(secretsOf);
  for (const name of names) {
    const targets = (secretsOf[name] ?? []).map((secret) => targetKey("Secret", `shop/${secret}`));
    references.update(targetKey("Connection", `shop/${name}`), [], [...targets, "Environment shop/production"]);
  }
  for (const other of ["stripe", "github"]) {
    references.update(targetKey("Integration", `shop/${other}`), [], [targetKey("Secret", "shop/client")]);
  }
  const ordered = catchUpOrder(
    "Connection",
    names.map((name) => `shop/${name}` as const),
    references,
  );
  return ordered.map((key) => key.replace("shop/", ""));
}

test.each([
  {
    what: "those that share a Secret come one after the other",
    of: { a1: ["a"], b1: ["b"], a2: ["a"], b2: ["b"], a3: ["a"], b3: ["b"] },
    order: ["a1", "a2", "a3", "b1", "b2", "b3"],
  },
  {
    what: "a Secret that all have in common does not keep those apart that share another one as well",
    of: { a1: ["all", "a"], b1: ["all", "b"], a2: ["all", "a"], b2: ["all", "b"] },
    order: ["a1", "a2", "b1", "b2"],
  },
  {
    what: "those that share none come last and stay in their order",
    of: { own2: ["own2"], a1: ["a"], none: [], a2: ["a"], own1: ["own1"] },
    order: ["a1", "a2", "own2", "none", "own1"],
  },
])("$what", ({ of, order }) => expect(orderOf(of)).toEqual(order));

test("each object has one place, whatever it refers to", () => {
  const order = orderOf({ c1: ["a", "b"], c2: ["b", "c"], c3: ["c", "a"] });
  expect(order.toSorted()).toEqual(["c1", "c2", "c3"]);
});
