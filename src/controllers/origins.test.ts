import { expect, test } from "vitest";
import { judgeOrigins } from "./origins.ts";

const A = "https://a.example";
const B = "https://b.example";
const C = "https://c.example";

test.each<
  [
    why: string,
    declared: string[],
    accepted: string[] | undefined,
    named: string[],
    then: string[] | undefined,
    pending: string[],
  ]
>([
  ["the first origins are accepted with the integration", [A, B], undefined, [], [A, B], []],
  ["one that never had an origin has none to accept", [], undefined, [], undefined, []],
  ["what was accepted stays so", [A], [A], [], [A], []],
  ["another origin waits, and the old one stays accepted while it does", [B], [A], [], [A], [B]],
  ["so does one more", [A, B], [A], [], [A], [B]],
  ["an edit that is taken back waits for nothing", [A], [A], [], [A], []],
  ["the named one is accepted, and the old one forgotten", [B], [A], [B], [B], []],
  ["going back after that is an edit again", [A], [B], [B], [B], [A]],
  ["of two new ones only the named one is accepted", [B, C], [A], [B], [A, B], [C]],
  ["what is named and not declared counts for nothing", [A], [A], [B], [A], []],
  ["without any origin the old ones are kept", [], [A], [], [A], []],
  ["so that removing them is no way around", [B], [A], [], [A], [B]],
])("%s", (_why, declared, accepted, named, then, pending) => {
  expect(judgeOrigins(declared, accepted, named)).toEqual({ accepted: then, pending });
});
