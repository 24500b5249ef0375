import { readFileSync, readdirSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { parse, parseAllDocuments } from "yaml";
import { crdYaml, customResourceDefinitions, generateCrds } from "./crd.ts";

const ROOT = new URL("../../", import.meta.url);

/** Nodes of a schema with their paths; `properties`, list items and map values are followed. */
function* nodes(value: unknown, path = ""): Generator<readonly [path: string, node: Record<string, unknown>]> {
  if (!isObject(value)) return;
  if (typeof value["type"] === "string") yield [path, value];
  for (const [key, inner] of Object.entries(value)) yield* nodes(inner, `${path}.${key}`);
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null;
}

/** Nodes below `spec` and `status` of all kinds. */
const fields = Array.from(nodes(customResourceDefinitions())).filter(([path]) =>
  /\.schema\..*\.(?:spec|status)\b/.test(path),
);

describe("crds/", () => {
  test("is what the schemas say; `npm run generate` writes it", () => {
    const committed = readdirSync(new URL("crds/", ROOT)).map((file) => `crds/${file}`);

    expect(committed.toSorted()).toEqual([...generateCrds().keys()].toSorted());
    for (const [file, text] of generateCrds()) expect(readFileSync(new URL(file, ROOT), "utf8")).toBe(text);
  });

  test("reads the same in YAML 1.1 and 1.2, one by one and as one stream", () => {
    const texts = [...generateCrds().values()];

    expect(texts.map((text): unknown => parse(text, { version: "1.1" }))).toEqual(customResourceDefinitions());
    expect(texts.map((text): unknown => parse(text, { version: "1.2" }))).toEqual(customResourceDefinitions());
    expect(parseAllDocuments(crdYaml()).map((document): unknown => document.toJS())).toEqual(
      customResourceDefinitions(),
    );
  });
});

describe("every field", () => {
  test("is described in a full sentence", () => {
    // A list's items and a map's values are described where the list is.
    const silent = fields.filter(
      ([path, { description }]) =>
        !/\.(?:items|additionalProperties)$/.test(path) &&
        !(typeof description === "string" && /^[A-Z].*[.]$/s.test(description)),
    );

    expect(silent.map(([path]) => path)).toEqual([]);
  });

  test("has a bound, so that the cost of the rules has one", () => {
    const unbounded = fields.filter(([, node]) => {
      if (node["type"] === "string") return node["maxLength"] === undefined && node["enum"] === undefined;
      if (node["type"] === "array") return node["maxItems"] === undefined;
      return node["type"] === "object" && node["properties"] === undefined && node["maxProperties"] === undefined;
    });

    expect(unbounded.map(([path]) => path)).toEqual([]);
  });

  test("keeps a message of a rule that can follow the field's path", () => {
    const rules = fields.flatMap(([, node]) => node["x-kubernetes-validations"] ?? []).filter(isObject);

    expect(rules.length).toBeGreaterThan(50);
    for (const { message } of rules) expect(message).toMatch(/^(?:must |field is immutable: )/);
  });

  test("uses only keywords that a structural schema may have", () => {
    const keywords = new Set(fields.flatMap(([, node]) => Object.keys(node)));

    for (const refused of ["anyOf", "oneOf", "allOf", "$ref", "pattern", "propertyNames", "$schema", "nullable"]) {
      expect(keywords).not.toContain(refused);
    }
  });
});
