import { expect, test } from "vitest";
import { generateToken } from "../../src/crypto/token.ts";
import { canary, searchLeaks } from "./leaks.ts";

// A search that finds nothing proves something only if it finds what is there.

const secret = canary("planted");

test.each([
  { how: "as it is", text: `before ${secret} after` },
  { how: "in hex", text: `\\x00${Buffer.from(secret).toString("hex")}ff` },
  { how: "in base64", text: Buffer.from(secret).toString("base64") },
  { how: "in base64 behind one byte", text: Buffer.from(`{${secret}}`).toString("base64") },
  { how: "in base64 behind two bytes", text: Buffer.from(`{"${secret}"}`).toString("base64") },
  { how: "in base64 behind JSON", text: Buffer.from(JSON.stringify({ apiKey: secret })).toString("base64") },
])("a secret is found $how", ({ text }) => {
  expect(searchLeaks([{ name: "the place", text }])).toEqual(["planted in the place"]);
});

test("a key of ours is found without having been announced", () => {
  const text = `Bearer ${generateToken("secret-key").reveal()}`;
  expect(searchLeaks([{ name: "the log", text }])).toEqual(["a token of ours in the log"]);
});

test("what is no secret is not found: a public key, a fingerprint, a part of a canary", () => {
  const text = [generateToken("public-key").reveal(), "e8829b8201e6", secret.slice(0, 14)].join(" ");
  expect(searchLeaks([{ name: "the log", text }])).toEqual([]);
});
