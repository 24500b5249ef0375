/** A value of one of our annotations that asks for something to be done once. */
export type Token =
  /** Absent or empty: nothing is asked for. */
  | { readonly kind: "none" }
  | { readonly kind: "token"; readonly token: string }
  /** What is allowed, as a sentence that names the annotation and repeats nothing of its value. */
  | { readonly kind: "refused"; readonly message: string };

/** Characters: room for a date, a commit or a ticket; it is kept in the database and shown in the status. */
export const MAX_TOKEN = 1_024;

/** Reads a token by the one rule for all of them. Pure. */
export function tokenOf(annotations: Readonly<Record<string, string>>, annotation: string): Token {
  const token = annotations[annotation] ?? "";
  if (token === "") return { kind: "none" };
  if (token.length <= MAX_TOKEN && !/\p{Cc}|\p{Cs}/u.test(token)) return { kind: "token", token };
  return {
    kind: "refused",
    message: `The annotation ${annotation} has to be 1 to ${MAX_TOKEN} characters without control characters, such as a date. Change it, or remove it.`,
  };
}
