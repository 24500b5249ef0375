import { format, inspect } from "node:util";
import { expect, test } from "vitest";
import { Secret } from "./secret.ts";

const secret = new Secret("canary-6e1f");

test.each([
  ["String", () => String(secret)],
  ["concatenation", () => "" + secret],
  ["JSON", () => JSON.stringify({ secret })],
  ["util.inspect", () => inspect({ secret }, { showHidden: true, depth: null })],
  ["util.format", () => format("%s %j %o", secret, secret, secret)],
  ["its members", () => JSON.stringify(Object.entries(secret))],
  ["a copy of its members", () => JSON.stringify(Object.assign({}, secret))],
  ["an error's details", () => inspect(Object.assign(new RangeError("failed"), { details: { secret } }))],
])("bad case 36: %s shows nothing of a secret", (_, print) => {
  expect(print()).not.toContain("canary");
});

test("only reveal gives the text", () => {
  expect(secret.reveal()).toBe("canary-6e1f");
});
