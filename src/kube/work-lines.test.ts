import { expect, test } from "vitest";
import type { Waiting, WorkLines, WorkPriority } from "./work-lines.ts";
import { createWorkLines } from "./work-lines.ts";

interface Named extends Waiting {
  readonly name: string;
}

function named(name: string): Named {
  return { name, waiting: undefined };
}

function takeAll(lines: WorkLines<Named>): string[] {
  const names: string[] = [];
  for (let taken = lines.take(true); taken !== undefined; taken = lines.take(true)) names.push(taken.item.name);
  return names;
}

test("changed items go first, each line in its own order", () => {
  const lines = createWorkLines<Named>();
  for (const [name, priority] of [
    ["r1", "resync"],
    ["c1", "changed"],
    ["r2", "resync"],
    ["c2", "changed"],
  ] satisfies [string, WorkPriority][]) {
    lines.push(named(name), priority);
  }
  expect(takeAll(lines)).toEqual(["c1", "c2", "r1", "r2"]);
});

test("an item that changes while it waits for a resync moves up, and is taken once", () => {
  const lines = createWorkLines<Named>();
  const [one, other] = [named("one"), named("other")];
  lines.push(one, "resync");
  lines.push(other, "resync");
  lines.push(other, "changed");
  lines.push(other, "resync");
  expect([lines.depth("changed"), lines.depth("resync")]).toEqual([1, 1]);
  expect(takeAll(lines)).toEqual(["other", "one"]);
});

test("where resyncs are not allowed they wait, and nothing is lost", () => {
  const lines = createWorkLines<Named>();
  lines.push(named("one"), "resync");
  expect(lines.take(false)).toBeUndefined();
  expect(lines.take(true)).toMatchObject({ priority: "resync", item: { name: "one" } });
});

test("an endless stream of changes does not starve the resyncs", () => {
  const lines = createWorkLines<Named>();
  lines.push(named("patient"), "resync");
  const taken: string[] = [];
  for (let index = 0; index < 40; index += 1) {
    lines.push(named("changed"), "changed");
    taken.push(lines.take(true)?.item.name ?? "");
  }
  expect(taken.indexOf("patient")).toBeGreaterThanOrEqual(0);
  expect(taken.filter((name) => name === "changed").length).toBe(39);
});

test("thousands of items come out in the order they went in", () => {
  const lines = createWorkLines<Named>();
  const names = Array.from({ length: 5_000 }, (_, index) => String(index));
  for (const name of names) lines.push(named(name), "resync");
  expect(takeAll(lines)).toEqual(names);
});

test("cleared lines give nothing and count nothing", () => {
  const lines = createWorkLines<Named>();
  lines.push(named("one"), "resync");
  lines.push(named("other"), "changed");
  lines.clear();
  expect([lines.depth("changed"), lines.depth("resync"), lines.take(true)]).toEqual([0, 0, undefined]);
});
