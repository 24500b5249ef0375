import { expect, test } from "vitest";
import { boundOf, type CoresUsed } from "./bound.ts";

const BOUNDS: readonly [what: string, used: CoresUsed, bound: string | undefined][] = [
  [
    "nobody can run beside each other without a free core",
    { all: 2, busy: 1.9, generator: 0.4, replicas: [0.5, 0.5] },
    "all 2 cores are busy",
  ],
  [
    "cores decide before the generator, which cannot have more of them",
    { all: 2, busy: 1.9, generator: 0.95, replicas: [0.4, 0.4] },
    "all 2 cores are busy",
  ],
  ["one thread sends all requests", { all: 8, busy: 4, generator: 0.97, replicas: [0.7, 0.7] }, "the load generator"],
  [
    "a replica that has a core to itself and leaves it idle waits for an answer",
    { all: 8, busy: 4, generator: 0.6, replicas: [0.9, 0.7] },
    "Postgres, for which replicas wait",
  ],
  [
    "replicas that use up a core each are at their own end",
    { all: 8, busy: 4, generator: 0.6, replicas: [1, 0.9] },
    undefined,
  ],
];

for (const [what, used, bound] of BOUNDS) test(`bound of replicas: ${what}`, () => expect(boundOf(used)).toBe(bound));
