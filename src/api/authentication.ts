import { tokenDigest, tokenKindOf } from "../crypto/token.ts";
import { KeysteadError } from "../errors.ts";
import { missingScope, unknownKey } from "../vault/admit-key.ts";
import type { Forbidden } from "../vault/permission.ts";

/** Anything longer than the scheme, a blank and a token of 55 characters cannot be one; a margin for odd blanks. */
const MAX_HEADER = 200;

const BEARER = /^Bearer +(\S+) *$/i;

/**
 * Digest of the secret key in an Authorization header, by which the database finds its environment. Junk ends here, by
 * its checksum: guessing keys costs the database nothing. Whether a well-formed key is unknown, revoked or expired is
 * not told apart, here or later.
 *
 * @throws `missing_auth_header`, `malformed_auth_header`, `invalid_secret_key_format`
 */
export function keyDigestOf(authorization: string | undefined): Buffer {
  if (authorization === undefined || authorization === "") {
    throw new KeysteadError(
      "missing_auth_header",
      "The request has no Authorization header. Send `Authorization: Bearer <secret key>`.",
    );
  }
  const token = authorization.length > MAX_HEADER ? undefined : BEARER.exec(authorization)?.[1];
  if (token === undefined) {
    throw new KeysteadError(
      "malformed_auth_header",
      "The Authorization header is malformed. Send `Authorization: Bearer <secret key>`.",
    );
  }
  if (tokenKindOf(token) !== "secret-key") {
    throw new KeysteadError(
      "invalid_secret_key_format",
      "This is no secret key of an environment: KEYSTEAD_SECRET_KEY in the environment's Secret starts with ks_sk_.",
    );
  }
  return tokenDigest(token);
}

/** The error for a key that opens nothing, or not this. */
export function refusedKey(result: { readonly kind: "unknown_key" } | Forbidden): KeysteadError {
  return result.kind === "unknown_key" ? unknownKey() : missingScope(result.scope);
}
