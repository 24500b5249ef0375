import { hash, randomBytes } from "node:crypto";
import { crc32 } from "node:zlib";
import { Secret } from "./secret.ts";

/** What a token opens: secret keys an environment, public keys its browser part, connect session tokens one session. */
export type TokenKind = "secret-key" | "public-key" | "connect-session";

const PREFIXES: Readonly<Record<TokenKind, string>> = {
  "secret-key": "ks_sk_",
  "public-key": "ks_pk_",
  "connect-session": "ks_cs_",
};

const ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
const BASE = 62n;
const RANDOM_BYTES = 32;

/** 62^43 is the first power of 62 above 2^256. */
const RANDOM_DIGITS = 43;

/** 62^6 is the first power of 62 above 2^32. */
const CHECKSUM_DIGITS = 6;

const TOKEN = new RegExp(
  `^(${Object.values(PREFIXES).join("|")})([0-9A-Za-z]{${RANDOM_DIGITS}})([0-9A-Za-z]{${CHECKSUM_DIGITS}})$`,
);

/** Hexadecimal digits of a digest that people get to see: 48 bits tell keys apart and tell nothing about them. */
const FINGERPRINT_DIGITS = 12;

/** A new token of 256 random bits. */
export function generateToken(kind: TokenKind): Secret {
  return new Secret(formatToken(kind, randomBytes(RANDOM_BYTES)));
}

/** The token that carries these 32 bytes: prefix, 43 base-62 digits, and the CRC-32 of both in 6 more. */
export function formatToken(kind: TokenKind, random: Buffer): string {
  const body = PREFIXES[kind] + base62(BigInt(`0x${random.toString("hex")}`), RANDOM_DIGITS);
  return body + checksum(body);
}

/**
 * What kind of token a text is, or `undefined` for junk: wrong prefix, length, alphabet or checksum. The checksum is no
 * secret and proves nothing; it lets a leak scanner be sure and spares the database a look-up for every typing error.
 */
export function tokenKindOf(text: string): TokenKind | undefined {
  const match = TOKEN.exec(text);
  if (!match) return undefined;
  const [, prefix, , sum] = match;
  if (checksum(text.slice(0, -CHECKSUM_DIGITS)) !== sum) return undefined;
  return kindOfPrefix(prefix);
}

/** SHA-256 of the token's text, by which it is found. Not slow on purpose: 256 random bits cannot be guessed. */
export function tokenDigest(token: string): Buffer {
  return hash("sha256", token, "buffer");
}

/** Short name of a token for status, logs and audit events, made from its digest. */
export function tokenFingerprint(digest: Buffer): string {
  return digest.toString("hex").slice(0, FINGERPRINT_DIGITS);
}

function kindOfPrefix(prefix: string | undefined): TokenKind | undefined {
  if (prefix === PREFIXES["secret-key"]) return "secret-key";
  if (prefix === PREFIXES["public-key"]) return "public-key";
  if (prefix === PREFIXES["connect-session"]) return "connect-session";
  return undefined;
}

/** Every request asks for it, so not by way of a bigint. */
function checksum(text: string): string {
  let digits = "";
  for (let rest = crc32(text); digits.length < CHECKSUM_DIGITS; rest = Math.floor(rest / ALPHABET.length)) {
    digits = ALPHABET.charAt(rest % ALPHABET.length) + digits;
  }
  return digits;
}

function base62(value: bigint, digits: number): string {
  let text = "";
  let rest = value;
  while (text.length < digits) {
    text = ALPHABET.charAt(Number(rest % BASE)) + text;
    rest /= BASE;
  }
  return text;
}
