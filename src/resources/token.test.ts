import { expect, test } from "vitest";
import { MAX_TOKEN, tokenOf } from "./token.ts";

const NAME = "keystead.dev/rotate-data-key";

test.each([
  ["absent", {}],
  ["empty", { [NAME]: "" }],
])("bad case 15: an annotation that is %s asks for nothing", (_case, annotations) => {
  expect(tokenOf(annotations, NAME)).toEqual({ kind: "none" });
});

test.each(["1", "2026-11-24 after the leak", "é".repeat(MAX_TOKEN), " "])("bad case 15: %j is a token", (token) => {
  expect(tokenOf({ [NAME]: token }, NAME)).toEqual({ kind: "token", token });
});

test.each([
  ["256 KiB", "x".repeat(262_144)],
  ["a line feed", "a\nb"],
  ["U+0000", "a\0b"],
  ["half a surrogate pair", "a\ud800b"],
])("bad case 15: %s in a token is refused with what is allowed, and without the value", (_case, token) => {
  const refused = tokenOf({ [NAME]: token }, NAME);
  expect(refused).toMatchObject({ kind: "refused", message: expect.stringContaining(`1 to ${MAX_TOKEN} characters`) });
  expect(JSON.stringify(refused)).not.toContain(token.slice(0, 3));
});
