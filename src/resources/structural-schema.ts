import { z } from "zod";
import { validationsOf } from "./rule.ts";

/** A node of a CRD's schema: JSON, in the subset of OpenAPI v3 that Kubernetes calls structural. */
export interface StructuralSchema {
  [keyword: string]: unknown;
}

/** The order in which a reader wants a field explained; what is not listed follows as it comes. */
const KEYWORD_ORDER = ["description", "type", "format", "enum", "default", "minimum", "minLength", "maxLength"];

/**
 * The structural schema of a zod schema: zod's own OpenAPI 3.0 export of what may be written (`io: "input"`, so that a
 * field with a default is not required), without what Kubernetes refuses or would say badly, and with the CEL rules.
 */
export function structuralSchema(schema: z.ZodType): StructuralSchema {
  const { $schema: _, ...exported } = z.toJSONSchema(schema, {
    target: "openapi-3.0",
    io: "input",
    // Free-form objects have no schema of their own; their metadata says what the API server has to know.
    unrepresentable: "any",
    override: ({ zodSchema, jsonSchema }) => adapt(zodSchema, jsonSchema),
  });
  return inReadingOrder(exported);
}

/** Runs on every node that zod exports, wrappers (`optional`, `default`) included; those have no rules of their own. */
function adapt(zodSchema: z.core.$ZodType, node: z.core.JSONSchema.BaseSchema): void {
  // A structural schema has no rules for the keys of a map and no closed objects: the API server prunes instead.
  delete node.propertyNames;
  if (node.additionalProperties === false) delete node.additionalProperties;
  if (node.type === "integer") {
    node.format = "int64";
    // zod's bounds of what JavaScript can count; a bound of ours is never as large.
    if (node.maximum === Number.MAX_SAFE_INTEGER) delete node.maximum;
    if (node.minimum === Number.MIN_SAFE_INTEGER) delete node.minimum;
  }
  const validations = validationsOf(zodSchema);
  if (validations.length > 0) node["x-kubernetes-validations"] = validations;
}

/** Sorts keywords, never the fields below `properties`: those stay in the order in which they are declared. */
function inReadingOrder(node: StructuralSchema): StructuralSchema {
  return Object.fromEntries(
    Object.entries(node)
      .toSorted(([one], [other]) => rank(one) - rank(other))
      .map(([keyword, value]) => [keyword, keyword === "properties" ? eachInReadingOrder(value) : nested(value)]),
  );
}

function rank(keyword: string): number {
  const place = KEYWORD_ORDER.indexOf(keyword);
  return place === -1 ? KEYWORD_ORDER.length : place;
}

/** The values of `properties` are schemas, its keys are field names that may look like keywords (`type`, `default`). */
function eachInReadingOrder(properties: unknown): unknown {
  return isNode(properties)
    ? Object.fromEntries(Object.entries(properties).map(([name, schema]) => [name, nested(schema)]))
    : properties;
}

function nested(value: unknown): unknown {
  return isNode(value) ? inReadingOrder(value) : value;
}

function isNode(value: unknown): value is StructuralSchema {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
