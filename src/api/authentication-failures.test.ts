import { expect, test } from "vitest";
import { generateToken, tokenDigest, tokenFingerprint } from "../crypto/token.ts";
import { asKeysteadError, hasCode, KeysteadError } from "../errors.ts";
import { createAuthenticationFailures } from "./authentication-failures.ts";

const refusal = new KeysteadError("unknown_account", "No environment has this secret key.");

function setUp() {
  let now = 0;
  const lines: Record<string, unknown>[] = [];
  const counted: string[] = [];
  const failures = createAuthenticationFailures({
    metrics: { refused: (code) => void counted.push(code) },
    log: { warn: (fields) => void lines.push({ ...fields }) },
    now: () => now,
  });
  const fail = (address: string) => asKeysteadError(failures.judge(refusal, { address }));
  return { failures, lines, counted, fail, pass: (milliseconds: number) => (now += milliseconds) };
}

test("sixty failures of an address are answered as what they are, then one each second, and the others are told when", () => {
  const { fail, pass, counted } = setUp();
  const codes = Array.from({ length: 62 }, () => fail("192.0.2.1").code);
  expect(codes.slice(0, 60).every((code) => code === "unknown_account")).toBe(true);
  expect(codes.slice(60)).toEqual(["too_many_request", "too_many_request"]);
  expect(fail("192.0.2.1").details).toEqual({ retryAfterSeconds: 1 });
  pass(1_000);
  expect([fail("192.0.2.1").code, fail("192.0.2.1").code]).toEqual(["unknown_account", "too_many_request"]);
  expect(counted, "all of them are counted").toHaveLength(65);
});

test("other addresses have failures of their own, but not other addresses of one IPv6 network", () => {
  const { fail } = setUp();
  for (let one = 0; one < 60; one += 1) fail(`2001:db8:1:2::${one}`);
  expect(fail("2001:db8:1:2:ffff::1").code).toBe("too_many_request");
  expect(fail("2001:db8:1:3::1").code).toBe("unknown_account");
  expect(fail("192.0.2.1").code).toBe("unknown_account");
});

test("what is no refused authentication counts for nothing", () => {
  const { failures, counted } = setUp();
  const missing = new KeysteadError("not_found", "There is nothing here.");
  for (let one = 0; one < 100; one += 1) expect(failures.judge(missing, { address: "192.0.2.1" })).toBe(missing);
  expect(counted).toEqual([]);
  expect(hasCode(failures.judge(refusal, { address: "192.0.2.1" }), "unknown_account")).toBe(true);
});

test("an address that failed before many others did begins anew, so that memory has a bound", () => {
  const { fail } = setUp();
  for (let one = 0; one < 61; one += 1) fail("192.0.2.1");
  for (let one = 0; one < 10_000; one += 1) fail(`10.0.${one >> 8}.${one & 255}`);
  expect(fail("192.0.2.1").code).toBe("unknown_account");
});

test("an address has a line in the log at once and then once a minute, which says how many had none", () => {
  const { failures, fail, lines, pass } = setUp();
  const keyDigest = tokenDigest(generateToken("secret-key").reveal());
  failures.judge(refusal, { address: "192.0.2.1", keyDigest });
  for (let one = 0; one < 4; one += 1) fail("192.0.2.1");
  pass(60_000);
  fail("192.0.2.1");
  const line = { address: "192.0.2.1", code: "unknown_account" };
  expect(lines).toEqual([
    { ...line, keyFingerprint: tokenFingerprint(keyDigest), unlogged: 0 },
    { ...line, unlogged: 4 },
  ]);
});

test("a thousand addresses at once have twenty lines, and five more each second", () => {
  const { fail, lines, pass } = setUp();
  const network = (from: number) => {
    for (let one = 0; one < 1_000; one += 1) fail(`10.${from}.${one >> 8}.${one & 255}`);
  };
  network(1);
  expect(lines).toHaveLength(20);
  pass(1_000);
  network(2);
  expect(lines).toHaveLength(25);
});
