import { z } from "zod";
import { matches as matchesPattern, withRules } from "./rule.ts";
import { textMap } from "./field.ts";

/** A name of at most 63 characters, with a DNS name and a slash in front of it where an organization owns the key. */
const LABEL_KEY =
  /^(?:[a-z0-9](?:[-a-z0-9]*[a-z0-9])?(?:[.][a-z0-9](?:[-a-z0-9]*[a-z0-9])?)*\/)?[A-Za-z0-9](?:[-._A-Za-z0-9]{0,61}[A-Za-z0-9])?$/;
const LABEL_VALUE = /^(?:[A-Za-z0-9](?:[-._A-Za-z0-9]*[A-Za-z0-9])?)?$/;

/** Characters of a label's key: a DNS name of 253, a slash, a name of 63. */
const MAX_LABEL_KEY = 317;

const labelValue = withRules(
  z.string().max(63),
  matchesPattern(
    LABEL_VALUE,
    "must be a label value: at most 63 letters, digits, '-', '_' and '.', beginning and ending with a letter or digit",
  ),
);

const requirement = withRules(
  z.object({
    key: withRules(
      z.string().max(MAX_LABEL_KEY),
      matchesPattern(LABEL_KEY, "must be a label key such as team or example.com/team"),
    ).describe("Key of the label."),
    operator: z
      .enum(["In", "NotIn", "Exists", "DoesNotExist"])
      .describe("In and NotIn compare with values; Exists and DoesNotExist ask for the key alone."),
    values: z
      .array(labelValue)
      .max(32)
      .optional()
      .meta({ description: "Values for In and NotIn; none for the other two.", "x-kubernetes-list-type": "atomic" }),
  }),
  {
    cel: '(self.operator in ["In", "NotIn"]) == (has(self.values) && size(self.values) > 0)',
    holds: ({ operator, values }) => (operator === "In" || operator === "NotIn") === (values ?? []).length > 0,
    message: "must have values with In and NotIn, and none with Exists and DoesNotExist",
    at: "values",
  },
);

/** A label selector with the fields and the meaning of metav1.LabelSelector. */
export const labelSelector = z.object({
  matchLabels: textMap(
    32,
    {
      max: MAX_LABEL_KEY,
      pattern: LABEL_KEY,
      allowed: "characters that are a label key such as team or example.com/team",
    },
    labelValue,
  )
    .optional()
    .describe("Labels that must be there with exactly these values, at most 32."),
  matchExpressions: z.array(requirement).max(32).optional().meta({
    description: "Further requirements, all of which must hold, at most 32.",
    "x-kubernetes-list-type": "atomic",
  }),
});

/** A selector as parsed. */
export type LabelSelector = z.output<typeof labelSelector>;

/**
 * Whether labels satisfy all of a selector. As in Kubernetes, an empty selector selects everything, and NotIn also
 * selects what lacks the key.
 */
export function matches(selector: LabelSelector, labels: Readonly<Record<string, string>> = {}): boolean {
  const value = (key: string): string | undefined => (Object.hasOwn(labels, key) ? labels[key] : undefined);
  return (
    Object.entries(selector.matchLabels ?? {}).every(([key, wanted]) => value(key) === wanted) &&
    (selector.matchExpressions ?? []).every((expression) => satisfies(expression, value(expression.key)))
  );
}

function satisfies({ operator, values = [] }: z.output<typeof requirement>, found: string | undefined): boolean {
  switch (operator) {
    case "In":
      return found !== undefined && values.includes(found);
    case "NotIn":
      return found === undefined || !values.includes(found);
    case "Exists":
      return found !== undefined;
    case "DoesNotExist":
      break;
  }
  return found === undefined;
}
