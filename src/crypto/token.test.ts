import * as fc from "fast-check";
import { expect, test } from "vitest";
import { formatToken, generateToken, tokenDigest, tokenFingerprint, tokenKindOf, type TokenKind } from "./token.ts";

const KINDS: readonly [TokenKind, string][] = [
  ["secret-key", "ks_sk_"],
  ["public-key", "ks_pk_"],
  ["connect-session", "ks_cs_"],
];

test.each(KINDS)("a %s is recognised by its prefix and has one length whatever it carries", (kind, prefix) => {
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 32, maxLength: 32 }), (bytes) => {
      const token = formatToken(kind, Buffer.from(bytes));
      expect(token).toMatch(/^ks_(sk|pk|cs)_[0-9A-Za-z]{49}$/);
      expect(token.startsWith(prefix)).toBe(true);
      expect(tokenKindOf(token)).toBe(kind);
    }),
  );
});

test("different bytes make different tokens", () => {
  const bytes = fc.uint8Array({ minLength: 32, maxLength: 32 });
  fc.assert(
    fc.property(bytes, bytes, (a, b) => {
      const isSame = Buffer.from(a).equals(Buffer.from(b));
      expect(formatToken("secret-key", Buffer.from(a)) === formatToken("secret-key", Buffer.from(b))).toBe(isSame);
    }),
  );
});

test("one wrong character anywhere is noticed without a look at the database", () => {
  const token = generateToken("secret-key").reveal();
  for (let index = 0; index < token.length; index += 1) {
    const other = token.charAt(index) === "A" ? "B" : "A";
    expect(tokenKindOf(token.slice(0, index) + other + token.slice(index + 1))).toBeUndefined();
  }
});

test.each([
  ["nothing", ""],
  ["a prefix", "ks_sk_"],
  ["another product's key", "ghp_0123456789012345678901234567890123456789"],
  ["a token of another prefix", formatToken("public-key", Buffer.alloc(32)).replace("ks_pk_", "ks_sk_")],
  ["a token with a line feed", `${formatToken("secret-key", Buffer.alloc(32))}\n`],
  ["a token with a space before it", ` ${formatToken("secret-key", Buffer.alloc(32))}`],
  ["a token twice", formatToken("secret-key", Buffer.alloc(32)).repeat(2)],
  ["look-alike letters", formatToken("secret-key", Buffer.alloc(32)).replace("ks", "кs")],
  ["a megabyte", "ks_sk_".padEnd(1_000_000, "0")],
])("%s is no token", (_, text) => {
  expect(tokenKindOf(text)).toBeUndefined();
});

test("tokens are drawn anew each time, and print as nothing", () => {
  const tokens = new Set(Array.from({ length: 1_000 }, () => generateToken("secret-key").reveal()));
  expect(tokens.size).toBe(1_000);
  expect(String(generateToken("secret-key"))).toBe("[redacted]");
});

test("a fingerprint comes from the digest alone, so status and audit events can name a key without knowing it", () => {
  const digest = tokenDigest(generateToken("secret-key").reveal());
  expect(digest).toHaveLength(32);
  expect(tokenFingerprint(digest)).toBe(digest.toString("hex").slice(0, 12));
});
