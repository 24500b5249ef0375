import type { KeysteadError } from "../errors.ts";

/** How one item of a batch ended: its neighbours' failures are not its own. */
export type Outcome<T> =
  | { readonly ok: true; readonly value: T }
  | { readonly ok: false; readonly error: KeysteadError };

/** An item that went through. */
export function succeeded<T>(value: T): Outcome<T> {
  return { ok: true, value };
}

/** An item that did not. */
export function failed(error: KeysteadError): Outcome<never> {
  return { ok: false, error };
}

/** The value, or the error thrown. */
export function unwrapOutcome<T>(outcome: Outcome<T>): T {
  if (!outcome.ok) throw outcome.error;
  return outcome.value;
}
