import * as fc from "fast-check";
import { expect, test } from "vitest";
import { generateToken, tokenDigest } from "../crypto/token.ts";
import { hasCode, KeysteadError } from "../errors.ts";
import { keyDigestOf } from "./authentication.ts";

function codeFor(header: string | undefined): string | undefined {
  try {
    keyDigestOf(header);
    return undefined;
  } catch (error) {
    return error instanceof KeysteadError ? error.code : "not ours";
  }
}

test("a secret key becomes its digest, the scheme in any case", () => {
  const key = generateToken("secret-key").reveal();
  expect(keyDigestOf(`Bearer ${key}`)).toEqual(tokenDigest(key));
  expect(keyDigestOf(`bearer  ${key} `)).toEqual(tokenDigest(key));
});

const key = generateToken("secret-key").reveal();
test.each([
  ["no header", undefined, "missing_auth_header"],
  ["an empty header", "", "missing_auth_header"],
  ["another scheme", `Basic ${key}`, "malformed_auth_header"],
  ["no scheme", key, "malformed_auth_header"],
  ["no token", "Bearer ", "malformed_auth_header"],
  ["two tokens", `Bearer ${key} ${key}`, "malformed_auth_header"],
  ["a token of 10 kB", `Bearer ${"x".repeat(10_000)}`, "malformed_auth_header"],
  ["a key of another product", "Bearer 3f6d1e0a-8a55-4a29-9d5c-0d6b3b1f9c11", "invalid_secret_key_format"],
  ["a key cut short", `Bearer ${key.slice(0, -1)}`, "invalid_secret_key_format"],
  [
    "a key with one character changed",
    `Bearer ${key.slice(0, 10)}${key[10] === "a" ? "b" : "a"}${key.slice(11)}`,
    "invalid_secret_key_format",
  ],
  ["a public key", `Bearer ${generateToken("public-key").reveal()}`, "invalid_secret_key_format"],
  ["a connect session token", `Bearer ${generateToken("connect-session").reveal()}`, "invalid_secret_key_format"],
])("%s is refused before any query", (_case, header, code) => {
  expect(codeFor(header)).toBe(code);
});

test("whatever the header says, the refusal has one of the three codes and repeats nothing of it", () => {
  fc.assert(
    fc.property(
      fc.oneof(
        fc.string(),
        fc.string().map((text) => `Bearer ${text}`),
      ),
      (header) => {
        try {
          keyDigestOf(header);
          expect.fail("junk was taken for a key");
        } catch (error) {
          const known = (["missing_auth_header", "malformed_auth_header", "invalid_secret_key_format"] as const).find(
            (one) => hasCode(error, one),
          );
          expect(known).toBeDefined();
          const words = header.replace(/^bearer\s*/i, "");
          if (words.length > 12 && error instanceof Error) expect(error.message).not.toContain(words);
        }
      },
    ),
  );
});
