import { z } from "zod";

/** One entry of `x-kubernetes-validations`, as the API server takes it. */
export interface CelValidation {
  readonly rule: string;
  readonly message: string;
  readonly fieldPath?: string;
}

/**
 * A rule of the schema, said twice: in CEL for the API server, which refuses a manifest with it, and in TypeScript for
 * objects that are stored already and may never have passed it (an older CRD, an edited etcd, ratcheting). The two
 * have to agree; `test/manifests.test.ts` puts the same manifests before both.
 */
export interface Rule<T> {
  readonly cel: string;
  /** Absent on rules about the change from one version to the next: only the API server sees both. */
  readonly holds?: (value: T) => boolean;
  /** Follows the field's path in an error, so it starts with "must" and says what is allowed. */
  readonly message: string;
  /** The property that is at fault, where that is not the value the rule stands on. */
  readonly at?: string;
}

/** Beside zod's own metadata, which cannot add to a list: attaching a second rule would replace the first. */
const validations = z.registry<{ readonly list: readonly CelValidation[] }>();

/** A copy of `schema` that also keeps `rules`; rules attached before stay. */
export function withRules<S extends z.ZodType>(schema: S, ...rules: readonly Rule<z.output<S>>[]): S {
  let checked = schema;
  for (const { holds, message, at } of rules) {
    if (holds) checked = checked.check(z.refine<z.output<S>>(holds, { message, path: at === undefined ? [] : [at] }));
  }
  // Every check makes a new instance and a registry knows instances, so a schema without checks is copied by hand.
  const copy = checked === schema ? checked.clone() : checked;
  const added = rules.map(({ cel: rule, message, at }) =>
    at === undefined ? { rule, message } : { rule, message, fieldPath: `.${at}` },
  );
  validations.add(copy, { list: [...validationsOf(schema), ...added] });
  return copy;
}

/** The CEL side of the rules on a schema, those inherited from the schema it was made from included. */
export function validationsOf(schema: z.core.$ZodType): readonly CelValidation[] {
  return validations.get(schema)?.list ?? [];
}

/** A CEL string literal: CEL knows every escape that JSON has, with the same meaning. */
export function celString(text: string): string {
  return JSON.stringify(text);
}

/**
 * Rule that an expression matches the text. Only what means the same in JavaScript and in RE2 may stand in it: no
 * look-around, no back references, no flag but `u` (RE2 always counts code points and knows `\p`), and `[0-9]` rather
 * than `\w`-like classes with Unicode members. RE2 is linear in the text; here every repetition is unambiguous, so the
 * JavaScript engine has nothing to try twice either.
 */
export function matches(pattern: RegExp, message: string): Rule<string> {
  return { cel: `self.matches(${celString(pattern.source)})`, holds: (text) => pattern.test(text), message };
}

/**
 * Rule for the schema of a whole spec: the field can be neither changed, nor added, nor removed after creation. On the
 * field itself the rule would not run when the field comes or goes: there is no old or no new value to compare then.
 */
export function immutable(field: string, kind: string): Rule<unknown> {
  return {
    cel: `has(self.${field}) == has(oldSelf.${field}) && (!has(self.${field}) || self.${field} == oldSelf.${field})`,
    message: `field is immutable: delete the ${kind} and create it again to change it`,
    at: field,
  };
}

/**
 * Rule that exactly one of the fields is given, or at most one where none is fine as well. `minProperties` and
 * `maxProperties` would do it too, but say "must have at most 1 item" where this names the choices.
 */
export function oneOf<T extends object>(count: "exactly" | "at most", fields: readonly (string & keyof T)[]): Rule<T> {
  const given = fields.map((field) => `has(self.${field})`).join(", ");
  const names = `${fields.slice(0, -1).join(", ")} and ${fields.at(-1)}`;
  return {
    cel: `[${given}].filter(given, given).size() ${count === "exactly" ? "==" : "<="} 1`,
    holds: (value) => {
      const size = fields.filter((field) => value[field] !== undefined).length;
      return count === "exactly" ? size === 1 : size <= 1;
    },
    message: `must have ${count} one of ${names}`,
  };
}
