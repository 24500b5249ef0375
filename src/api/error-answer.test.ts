import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { z } from "zod";
import { generateToken } from "../crypto/token.ts";
import { ERRORS, KeysteadError, type ErrorCode } from "../errors.ts";
import { ANSWERED_AS, errorAnswer, invalidRequest } from "./error-answer.ts";

const codes = Object.keys(ERRORS).filter((text): text is ErrorCode => text in ERRORS);

test.each(codes.filter((code) => ERRORS[code].status < 500))(
  "%s is told to the caller with its own status and message",
  (code) => {
    const { status, body } = errorAnswer(new KeysteadError(code, "What happened and what to do."));
    expect(status).toBe(ERRORS[code].status);
    const shown = { code: ANSWERED_AS[code] ?? code, message: "What happened and what to do." };
    expect(JSON.parse(body).error).toMatchObject(shown);
  },
);

test("docs/errors.md says of each code that callers see under another name which one that is", () => {
  const page = readFileSync(new URL("../../docs/errors.md", import.meta.url), "utf8");
  for (const [code, shown] of Object.entries(ANSWERED_AS)) {
    const row = page.split("\n").find((line) => line.startsWith(`| \`${code}\` |`));
    expect(row).toMatch(new RegExp(`The API answers (it as )?\`${shown}\``));
  }
});

test.each(codes.filter((code) => ERRORS[code].status >= 500 && !code.startsWith("outbound_")))(
  "bad case 36: nothing of the message of %s reaches the caller",
  (code) => {
    const { status, body } = errorAnswer(
      new KeysteadError(code, "connect to db-1.internal as keystead_runtime failed"),
    );
    expect([500, 503]).toContain(status);
    expect(body).not.toContain("db-1");
  },
);

test.each(codes.filter((code) => code.startsWith("outbound_")))(
  "%s is about another server, so the caller is told what became of the call",
  (code) => {
    const { status, body } = errorAnswer(new KeysteadError(code, "api.provider.example did not answer."));
    expect(status).toBe(ERRORS[code].status);
    expect(JSON.parse(body).error).toEqual({ code, message: "api.provider.example did not answer." });
  },
);

test("an outage keeps its code and status, so that a client knows to come back", () => {
  const answer = errorAnswer(new KeysteadError("database_unavailable", "No connection."));
  expect([answer.status, answer.code]).toEqual([503, "database_unavailable"]);
});

test("what nobody foresaw is a server_error without a word of its own", () => {
  const { status, code, body } = errorAnswer(new TypeError("cannot read properties of canary"));
  expect([status, code]).toEqual([500, "server_error"]);
  expect(body).not.toContain("canary");
});

test("a refused authentication carries an empty payload, as clients of the contract expect", () => {
  expect(JSON.parse(errorAnswer(new KeysteadError("unknown_account", "No.")).body).error.payload).toEqual({});
});

test("an invalid query names each thing that is wrong by code, message and path", () => {
  const schema = z.strictObject({ limit: z.enum(["1"]), page: z.enum(["0"]) });
  const result = schema.safeParse({ limit: "2", page: "0", pgae: "1" });
  const error = invalidRequest("invalid_query_params", result.error ?? expect.fail("the query should be refused"));
  expect(JSON.parse(errorAnswer(error).body).error.errors).toEqual([
    { code: "invalid_value", message: expect.any(String), path: ["limit"] },
    { code: "unrecognized_keys", message: expect.stringContaining("pgae"), path: [] },
  ]);
});

test("bad case 36: a key that a caller put into the query is not repeated", () => {
  const token = generateToken("secret-key").reveal();
  const result = z.strictObject({}).safeParse({ [token]: "1" });
  const error = invalidRequest("invalid_query_params", result.error ?? expect.fail("the query should be refused"));
  expect(errorAnswer(error).body).not.toContain(token);
});

test("a query with a thousand wrong parameters gets a short answer", () => {
  const result = z
    .record(z.string(), z.enum(["a"]))
    .safeParse(Object.fromEntries(Array.from({ length: 1_000 }, (_, i) => [`k${i}`, "b"])));
  const error = invalidRequest("invalid_query_params", result.error ?? expect.fail("the query should be refused"));
  expect(errorAnswer(error).body.length).toBeLessThan(3_000);
});
