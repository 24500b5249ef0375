import * as fc from "fast-check";
import { expect, test } from "vitest";
import { createFrameSplitter } from "./frame-splitter.ts";

test("bad case 23: however the bytes are cut, also within a UTF-8 character, the same frames come out", () => {
  const line = fc.string({ unit: "grapheme", minLength: 1 }).map((text) => JSON.stringify({ text }));
  fc.assert(
    fc.property(fc.array(line), fc.array(fc.nat()), (lines, cuts) => {
      const bytes = Buffer.from(lines.map((one) => `${one}\n`).join(""));
      const at = cuts.map((cut) => cut % (bytes.length + 1)).toSorted((one, other) => one - other);
      const splitter = createFrameSplitter(1_000_000);
      const frames: string[] = [];
      for (const [index, from] of [0, ...at].entries()) {
        frames.push(...splitter.push(bytes.subarray(from, at[index] ?? bytes.length)));
      }
      expect(frames).toEqual(lines);
      expect(splitter.pendingBytes()).toBe(0);
    }),
  );
});

test("bad case 23: a frame that broke off is not taken for one", () => {
  const splitter = createFrameSplitter(1_000);
  expect(splitter.push(Buffer.from('{"a":1}\n{"b":'))).toEqual(['{"a":1}']);
  expect(splitter.pendingBytes()).toBe(5);
});

test("empty lines are no frames", () => {
  expect(createFrameSplitter(1_000).push(Buffer.from("\n\n{}\n\n"))).toEqual(["{}"]);
});

test("a frame that never ends is not collected for ever", () => {
  const splitter = createFrameSplitter(1_000);
  splitter.push(Buffer.alloc(900, "x"));
  expect(() => splitter.push(Buffer.alloc(101, "x"))).toThrow(
    expect.objectContaining({ code: "kube_answer_too_large" }),
  );
});
