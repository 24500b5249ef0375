import { type ErrorCode, KeysteadError } from "../errors.ts";

/** Codes of Node, OpenSSL and the resolver: letters, digits and underscores, so nothing that was sent or received. */
const CODE = /^[A-Z][A-Z0-9_]{1,60}$/;

/**
 * The error for a call that did not come about. Of what Node threw only its code is kept: its message can name addresses
 * inside, and its fields can hold bytes that were received (`rawPacket`) or a whole certificate.
 */
export function unreachable(
  complaint: string,
  thrown: unknown,
  code: ErrorCode = "outbound_unreachable",
): KeysteadError {
  const reason = codeOf(thrown);
  return new KeysteadError(code, `${complaint}${reason === undefined ? "" : ` (${reason})`}.`, {
    cause: new Error(reason ?? "no code"),
  });
}

/** The code of an error of Node, or of the first in an `AggregateError` of several addresses. */
export function codeOf(thrown: unknown): string | undefined {
  if (thrown instanceof AggregateError && !hasOwnCode(thrown)) return codeOf(thrown.errors[0]);
  return hasOwnCode(thrown) && CODE.test(thrown.code) ? thrown.code : undefined;
}

function hasOwnCode(thrown: unknown): thrown is Error & { readonly code: string } {
  return thrown instanceof Error && "code" in thrown && typeof thrown.code === "string";
}
