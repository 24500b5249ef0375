import * as fc from "fast-check";

/** As much of JSON Schema as our own documents use. */
export interface Schema {
  readonly type?: string;
  readonly const?: unknown;
  readonly enum?: readonly unknown[];
  readonly anyOf?: readonly Schema[];
  readonly oneOf?: readonly Schema[];
  readonly pattern?: string;
  readonly minLength?: number;
  readonly maxLength?: number;
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly required?: readonly string[];
  readonly additionalProperties?: boolean | Schema;
  readonly propertyNames?: Schema;
  readonly items?: Schema;
}

/** What nobody should send. */
export const oddText = fc.oneof(
  fc.constantFrom(
    "",
    " ",
    "0",
    "-1",
    "1e9",
    "NaN",
    "null",
    "true",
    "__proto__",
    "constructor",
    "%",
    "%zz",
    "..",
    "../..",
    "\0",
    "'",
    '"',
    "\\",
    "a,b",
    "\u{1f600}",
    "\u2025",
  ),
  fc.string({ unit: "binary", maxLength: 40 }),
  fc.integer({ min: 200, max: 2_000 }).map((length) => "x".repeat(length)),
);

const oddValue: fc.Arbitrary<unknown> = fc.oneof(
  oddText,
  fc.jsonValue({ maxDepth: 3 }),
  fc.constantFrom(null, [], {}, 1e308, -0, Number.MAX_SAFE_INTEGER + 2, [[[[]]]]),
);

/** Texts that stand for something, by the name of the member or parameter that they are for. */
export type Known = Readonly<Record<string, readonly string[]>>;

/** Values that a schema takes, known ones where there are some, and now and then something that it does not take. */
export function fromSchema(schema: Schema, known: Known, name = ""): fc.Arbitrary<unknown> {
  return fc.oneof({ weight: 20, arbitrary: valid(schema, known, name) }, { weight: 1, arbitrary: oddValue });
}

function valid(schema: Schema, known: Known, name: string): fc.Arbitrary<unknown> {
  if ("const" in schema) return fc.constant(schema.const);
  if (schema.enum) return fc.constantFrom(...schema.enum);
  const choices = schema.anyOf ?? schema.oneOf;
  if (choices) return fc.oneof(...choices.map((choice) => valid(choice, known, name)));
  switch (schema.type) {
    case "object":
      return object(schema, known);
    case "array":
      return fc.array(fromSchema(schema.items ?? {}, known, name), { maxLength: 4 });
    case "string":
      return text(schema, known[name] ?? []);
    case "boolean":
      return fc.boolean();
    case "integer":
    case "number":
      return fc.integer();
    case undefined:
    default:
      return fc.jsonValue({ maxDepth: 3 });
  }
}

function object(schema: Schema, known: Known): fc.Arbitrary<unknown> {
  const { properties = {}, required = [], additionalProperties, propertyNames } = schema;
  const members = Object.fromEntries(
    Object.entries(properties).map(([name, property]) => [name, fromSchema(property, known, name)]),
  );
  const named = fc.record(members, { requiredKeys: required.filter((name) => name in members) });
  if (typeof additionalProperties !== "object") return named;
  const names = text(propertyNames ?? {}, ["team", "plan", "__proto__"]);
  return fc.dictionary(names, fromSchema(additionalProperties, known), { maxKeys: 4 });
}

function text({ pattern, minLength = 0, maxLength = 60 }: Schema, known: readonly string[]): fc.Arbitrary<string> {
  const fits = known.filter((one) => pattern === undefined || new RegExp(pattern, "u").test(one));
  const any =
    pattern === undefined
      ? fc.string({ minLength, maxLength: Math.max(minLength, Math.min(maxLength, 60)) })
      : fc.stringMatching(new RegExp(pattern, "u"), { size: "-1" });
  return fits.length === 0 ? any : fc.oneof({ weight: 3, arbitrary: fc.constantFrom(...fits) }, any);
}
