import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { connectionIdOf, parseConnection } from "./connection.ts";
import { parseEnvironment, secretNameOf } from "./environment.ts";
import { MAX_JSON_DEPTH, MAX_JSON_LENGTH } from "./field.ts";
import { parseIntegration } from "./integration.ts";

const spec = { environmentRef: { name: "production" }, integrationRef: { name: "github" } };
const connection = (change: object): unknown => ({ metadata: { name: "acme" }, spec: { ...spec, ...change } });

/** The message about a Connection, or undefined where it is fine. */
function complaintAbout(object: unknown): string | undefined {
  const parsed = parseConnection(object);
  return parsed.ok ? undefined : parsed.message;
}

describe("what a parsed object holds", () => {
  const stored = {
    apiVersion: "keystead.dev/v1alpha1",
    kind: "Connection",
    metadata: {
      name: "acme",
      namespace: "shop",
      uid: "u",
      resourceVersion: "7",
      generation: 2,
      creationTimestamp: "2026-01-01T00:00:00Z",
      deletionTimestamp: "2026-01-02T00:00:00Z",
      finalizers: ["keystead.dev/finalizer"],
      labels: { team: "sales" },
      annotations: { "keystead.dev/refresh": "1", "kubectl.kubernetes.io/last-applied-configuration": "{}" },
      managedFields: [{ manager: "argocd", operation: "Apply", fieldsV1: { "f:spec": {} } }],
    },
    spec,
    status: { observedGeneration: 1 },
  };

  test("everything that the controller uses, and none of what only costs memory", () => {
    expect(parseConnection(stored)).toEqual({
      ok: true,
      value: {
        kind: "Connection",
        metadata: {
          name: "acme",
          namespace: "shop",
          uid: "u",
          resourceVersion: "7",
          generation: 2,
          deletionTimestamp: "2026-01-02T00:00:00Z",
          finalizers: ["keystead.dev/finalizer"],
          labels: { team: "sales" },
          annotations: { "keystead.dev/refresh": "1" },
          fieldManager: "argocd",
        },
        spec,
        status: { observedGeneration: 1 },
      },
    });
  });

  test("names that are made where none is given", () => {
    const own = parseConnection(stored);
    const named = parseConnection(connection({ connectionId: "acme-1" }));
    const environment = parseEnvironment({ metadata: { name: "production" } });
    const renamed = parseEnvironment({ metadata: { name: "production" }, spec: { secretName: "keys" } });

    expect([own, named].map((one) => one.ok && connectionIdOf(one.value))).toEqual(["acme", "acme-1"]);
    expect([environment, renamed].map((one) => one.ok && secretNameOf(one.value))).toEqual([
      "production-keystead",
      "keys",
    ]);
  });

  test("fields of a later version are left out, so an older controller goes on after a rollback", () => {
    expect(parseConnection(connection({ syncTo: { secretName: "x" } }))).toMatchObject({ ok: true, value: { spec } });
  });
});

describe("bad case 29: an object of an invalid shape", () => {
  test("keeps its metadata and status, so that it can be marked and let go", () => {
    const parsed = parseConnection({
      metadata: { name: "old", uid: "u", generation: 4, finalizers: ["keystead.dev/finalizer"] },
      spec: { environmentRef: "production" },
      status: { observedGeneration: 3, conditions: [] },
    });

    expect(parsed).toMatchObject({
      ok: false,
      message: "spec.environmentRef must be an object; spec.integrationRef is required.",
      value: {
        metadata: { name: "old", uid: "u", generation: 4, finalizers: ["keystead.dev/finalizer"] },
        status: { observedGeneration: 3 },
      },
    });
  });

  test("no value of it is repeated, however large or secret", () => {
    const complaint = complaintAbout(
      connection({ credentials: { basic: { username: "not-a-real-secret\n", passwordRef: "not-a-real-secret" } } }),
    );

    expect(complaint).toContain("spec.credentials.basic.username must be one line");
    expect(complaint).not.toContain("not-a-real-secret");
  });

  test("at most five fields are named, and how many more there are", () => {
    const tags = Object.fromEntries(Array.from({ length: 9 }, (_, index) => [`t${index}`, index]));

    expect(complaintAbout(connection({ tags }))).toMatch(/^(spec\.tags\.t\d must be a string; ){5}and 4 more\.$/);
  });

  test("a map key of a whole megabyte does not fill the message", () => {
    expect(complaintAbout(connection({ tags: { ["k".repeat(1_000_000)]: 1 } }))?.length).toBeLessThan(300);
  });

  test.each(["Environment", "Integration", "Connection"] as const)(
    "nothing that JSON can say makes the parser of %s throw",
    (kind) => {
      const parse = { Environment: parseEnvironment, Integration: parseIntegration, Connection: parseConnection }[kind];
      const keys = fc.constantFrom(
        "metadata",
        "spec",
        "status",
        "credentials",
        "name",
        "auth",
        "__proto__",
        "variables",
        "tags",
      );
      const json = fc.letrec((tie) => ({
        value: fc.oneof({ maxDepth: 4 }, fc.jsonValue(), fc.array(tie("value")), fc.dictionary(keys, tie("value"))),
      })).value;

      fc.assert(
        fc.property(json, (object) => {
          const parsed = parse(object);
          expect(parsed.value.kind).toBe(kind);
          expect(typeof parsed.value.metadata.name).toBe("string");
        }),
        { numRuns: 150 },
      );
    },
  );
});

/** An object that nests `depth` deep, itself included. */
function nested(depth: number): object {
  let inner: object = {};
  for (let level = 1; level < depth; level++) inner = { inner };
  return inner;
}

describe("free-form objects", () => {
  test.each([
    ["16 deep", nested(MAX_JSON_DEPTH), undefined],
    ["17 deep", nested(MAX_JSON_DEPTH + 1), "nest at most 16 deep"],
    ["100,000 deep", nested(100_000), "nest at most 16 deep"],
    ["64 KiB", { text: "x".repeat(MAX_JSON_LENGTH - 11) }, undefined],
    ["64 KiB and one character", { text: "x".repeat(MAX_JSON_LENGTH - 10) }, "at most 65536 characters"],
    ["a NUL in a text, which Postgres cannot store", { list: ["a\0b"] }, "must not hold a NUL character"],
    ["a NUL in a key", { "a\0b": 1 }, "must not hold a NUL character"],
    [
      "an integer that JavaScript would round",
      { id: Number("9007199254740993") },
      "must not hold an integer beyond 2^53",
    ],
    ["the largest integer that it would not", { id: Number.MAX_SAFE_INTEGER, small: -1.5e-300 }, undefined],
    ["256 entries", Object.fromEntries(Array.from({ length: 256 }, (_, index) => [index, 0])), undefined],
    ["257 entries", Object.fromEntries(Array.from({ length: 257 }, (_, index) => [index, 0])), "at most 256 entries"],
    ["a key that would reach the prototype", JSON.parse('{"a": {"__proto__": {}}}'), "must not have a key __proto__"],
    ["a list", [], "must be an object"],
    ["null", null, "must be an object"],
  ])("%s", (_why, metadata, complaint) => {
    const parsed = complaintAbout(connection({ metadata }));

    if (complaint === undefined) expect(parsed).toBeUndefined();
    else expect(parsed).toContain(complaint);
  });
});
