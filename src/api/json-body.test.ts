import * as fc from "fast-check";
import fastify from "fastify";
import { expect, test } from "vitest";
import { hasCode } from "../errors.ts";
import { parseJsonBody, takeJsonBodies } from "./json-body.ts";

test.each([
  ['{"a":1,"b":[{"a":1},{"a":2}]}', { a: 1, b: [{ a: 1 }, { a: 2 }] }],
  ['{"a":"b","b":"a","c":"a"}', { a: "b", b: "a", c: "a" }],
  ['{"a":"__proto__","b":["__proto__"]}', { a: "__proto__", b: ["__proto__"] }],
  [' "text" ', "text"],
  ["[[[]]]", [[[]]]],
  ['{"\\u0061":1,"b\\"{":2}', { a: 1, 'b"{': 2 }],
  ['{"constructor":{"prototype":1}}', { constructor: { prototype: 1 } }],
])("%s is read", (text, value) => {
  expect(parseJsonBody(text)).toEqual(value);
});

const nested = (depth: number, open: string, close: string) => open.repeat(depth) + close.repeat(depth);

test.each([
  ["100,000 lists deep", nested(100_000, "[", "]"), "deep"],
  ["100,000 objects deep", `${'{"a":'.repeat(100_000)}1${"}".repeat(100_000)}`, "deep"],
  ["100,000 deep and never closed", "[".repeat(100_000), "deep"],
  ["33 deep", nested(33, "[", "]"), "deep"],
  ["a member twice", '{"a":1,"b":2,"a":3}', "twice"],
  ["a member twice, once in other letters", '{"a":1,"\\u0061":2}', "twice"],
  ["a member twice, further in", '[{"x":{"a":1 , "a" : 2}}]', "twice"],
  ["__proto__", '{"__proto__":{"admin":true}}', "__proto__"],
  ["__proto__, spelled out", '{"a":{"\\u005f_proto__":1}}', "__proto__"],
  ["no JSON", '{"a":canary}', "not valid JSON"],
  ["nothing but a name", '{"a"', "not valid JSON"],
  ["two values", "{}{}", "not valid JSON"],
  ["a string without an end", '{"canary', "not valid JSON"],
  ["a string of a million quotes without an end", `{"${'\\"'.repeat(500_000)}`, "not valid JSON"],
  ["a broken escape in a name", '{"\\x":1}', "not valid JSON"],
])("bad case 38: %s is refused, and nothing of it repeated", (_case, text, says) => {
  const refusal = expect.objectContaining({ code: "invalid_json", message: expect.stringContaining(says) });
  expect(() => parseJsonBody(text)).toThrow(refusal);
  expect(() => parseJsonBody(text)).toThrow(
    expect.not.objectContaining({ message: expect.stringContaining("canary") }),
  );
});

test("32 deep is read", () => {
  expect(JSON.stringify(parseJsonBody(nested(32, "[", "]")))).toBe(nested(32, "[", "]"));
});

test("bad case 38: bytes that are no UTF-8 are refused, and a byte order mark is none of the text", () => {
  expect(() => parseJsonBody(Buffer.from([0x22, 0xe9, 0x22]))).toThrow(
    expect.objectContaining({ code: "invalid_json" }),
  );
  expect(parseJsonBody(Buffer.from('\uFEFF{"a":"\u00fc"}'))).toEqual({ a: "\u00fc" });
});

test("whatever JSON it is, it is read as the engine reads it", () => {
  // A member named __proto__ is refused.
  const values = fc.jsonValue({ maxDepth: 8 }).filter((value) => !JSON.stringify(value).includes("__proto__"));
  fc.assert(
    fc.property(values, fc.constantFrom(0, 1, 2), (value, indent) => {
      const text = JSON.stringify(value, null, indent);
      expect(parseJsonBody(text)).toEqual(JSON.parse(text));
    }),
  );
});

test("whatever text it is, it is read or refused as no JSON", () => {
  fc.assert(
    fc.property(
      fc.string({ unit: fc.constantFrom("{", "}", "[", "]", '"', ":", ",", "\\", "a", "1", " ") }),
      (text) => {
        let engine: unknown;
        try {
          engine = JSON.parse(text);
        } catch {
          expect(() => parseJsonBody(text)).toThrow(expect.objectContaining({ code: "invalid_json" }));
          return;
        }
        try {
          expect(parseJsonBody(text)).toEqual(engine);
        } catch (thrown) {
          expect(thrown).toMatchObject({ code: "invalid_json" });
        }
      },
    ),
  );
});

/** Code of the refusal of a body that is sent with this type, or the value that a route gets. */
async function received(contentType: string, payload: string | Buffer): Promise<unknown> {
  const app = fastify();
  takeJsonBodies(app);
  app.setErrorHandler((error, _request, reply) => reply.send(JSON.stringify({ code: codeOf(error) })));
  app.post("/", (request, reply) => reply.send(JSON.stringify({ value: request.body })));
  const answer = await app.inject({ method: "POST", url: "/", headers: { "content-type": contentType }, payload });
  const { code, value }: { code?: string; value?: unknown } = answer.json();
  return code ?? value;
}

const codeOf = (error: unknown) =>
  (["invalid_json", "invalid_content_type"] as const).find((code) => hasCode(error, code)) ??
  (error instanceof Error && "code" in error ? error.code : "none");

test.each([
  ["application/json", '{"a":1}', { a: 1 }],
  ["application/json; charset=utf-8", '{"a":1}', { a: 1 }],
  ['application/json; charset="UTF-8"', '{"a":1}', { a: 1 }],
  ["application/json", "", undefined],
  ["application/json", '{"a":1,"a":2}', "invalid_json"],
  ["application/json; charset=utf-16", '{"a":1}', "invalid_content_type"],
  ["application/json; charset=x-unknown", '{"a":1}', "invalid_content_type"],
  ["application/json; charset=iso-8859-1", Buffer.from([0x22, 0xe9, 0x22]), "invalid_content_type"],
  ["text/plain", '{"a":1}', "FST_ERR_CTP_INVALID_MEDIA_TYPE"],
  ["application/x-www-form-urlencoded", "a=1", "FST_ERR_CTP_INVALID_MEDIA_TYPE"],
])("bad case 38: a body of %s, %j, becomes %j", async (contentType, payload, expected) => {
  expect(await received(contentType, payload)).toEqual(expected);
});
