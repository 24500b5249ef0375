import { z } from "zod";

/**
 * Where a list goes on, as a caller sees it: text that only has to be given back. What is in it is checked like any other
 * input; it says nothing that the list did not, and opens nothing that the key does not.
 */
export function cursorOf(place: readonly string[]): string {
  return Buffer.from(JSON.stringify(place)).toString("base64url");
}

/** A cursor of the query whose place has that form. */
export function cursor<T>(place: z.ZodType<T>) {
  return z
    .string()
    .max(200)
    .transform((text, context): T => {
      const result = place.safeParse(decoded(text));
      if (result.success) return result.data;
      context.addIssue({ code: "custom", message: "is none that this list gave" });
      return z.NEVER;
    });
}

function decoded(text: string): unknown {
  try {
    return JSON.parse(Buffer.from(text, "base64url").toString());
  } catch {
    // No place has this form.
    return undefined;
  }
}
