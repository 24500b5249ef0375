import { CONNECTION, ENVIRONMENT, INTEGRATION } from "../../src/resources/kinds.ts";

export const KINDS = { Environment: ENVIRONMENT, Integration: INTEGRATION, Connection: CONNECTION };
export type KindName = keyof typeof KINDS;

export type Spec = Readonly<Record<string, unknown>>;

/** The smallest valid spec of each kind, which a case changes in one place. */
export const SMALLEST: Readonly<Record<KindName, Spec>> = {
  Environment: {},
  Integration: { environmentRef: { name: "production" }, auth: { mode: "API_KEY" } },
  Connection: {
    environmentRef: { name: "production" },
    integrationRef: { name: "github" },
    credentials: { apiKey: { apiKeyRef: { name: "acme", key: "token" } } },
  },
};

/** A manifest that has to be refused, with the field that the refusal names and a word of what it says. */
export interface Refused {
  readonly kind: KindName;
  /** Why nobody should be able to store it. */
  readonly why: string;
  readonly change: Spec;
  readonly field: string;
  readonly says: string;
  /** Number in the list of bad cases. */
  readonly bad?: number;
  /** Absent: a stored object of this shape is refused by the parser as well. `pruned`: the API server never stores the field. */
  readonly stored?: "pruned";
}

/** A manifest that has to be taken. */
export interface Taken {
  readonly kind: KindName;
  readonly why: string;
  readonly change: Spec;
}

export function specOf({ kind, change }: { readonly kind: KindName; readonly change: Spec }): Spec {
  return { ...SMALLEST[kind], ...change };
}

/** A reference as good as any. */
export const REF = { name: "acme", key: "token" };
const NAME = "must be the name of an object in the same namespace";

/** Names that would reach another namespace, or look as if they did not (CVE-2026-42875). */
const ESCAPES: readonly (readonly [name: string, why: string])[] = [
  ["other/name", "a path into another namespace"],
  ["../name", "a path upwards"],
  ["*", "a wildcard"],
  ["", "an empty name, which addresses the whole collection"],
  ["name.", "a trailing dot, which DNS ignores"],
  ["pr\u043eduction", "a Cyrillic letter that looks like a Latin one"],
  ["\uff4eame", "a full-width letter"],
  ["name\u200b", "a letter of no width"],
  ["name\n", "a line break"],
  [" name", "a blank"],
  ["Name", "an upper-case letter, which no object's name has"],
  ["name%2f..", "an encoded slash"],
];

/** A case for each of the names, at one place where a name is written. */
export function escapes(kind: KindName, field: string, change: (name: string) => Spec): Refused[] {
  return ESCAPES.map(([name, why]) => ({
    kind,
    why: `${field}: ${why}`,
    change: change(name),
    field,
    says: NAME,
    bad: 2,
  }));
}
