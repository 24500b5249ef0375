import { expect, test } from "vitest";
import { requestIdOf, traceParentOf } from "./request-id.ts";

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}$/;
const TRACE = "0af7651916cd43dd8448eb211c80319c";

test.each(["7", "a.b:c/d+e=f-g_", "x".repeat(128)])("the id %s is taken over", (id) => {
  expect(requestIdOf({ "x-request-id": id })).toBe(id);
});

test.each([undefined, "", "a b", "a\nb", "é", '"', "x".repeat(129)])("instead of %j there is one of our own", (id) => {
  expect(requestIdOf(id === undefined ? {} : { "x-request-id": id })).toMatch(UUID);
});

test.each([
  ["a sampled trace", `00-${TRACE}-b7ad6b7169203331-01`, "01"],
  ["one that is not sampled", `00-${TRACE}-b7ad6b7169203331-00`, "00"],
  ["one of a later version", `cc-${TRACE}-b7ad6b7169203331-01-what-the-future-holds`, "01"],
])("%s goes on with a span of our own", (_case, given, flags) => {
  const passed = traceParentOf({ traceparent: given }) ?? expect.fail("is a trace");
  expect(passed).toMatch(new RegExp(`^00-${TRACE}-[0-9a-f]{16}-${flags}$`));
  expect(passed).not.toContain("b7ad6b7169203331");
});

test.each([
  ["nothing", undefined],
  ["text", "junk"],
  ["a version that cannot be", `ff-${TRACE}-b7ad6b7169203331-01`],
  ["a trace of zeros", `00-${"0".repeat(32)}-b7ad6b7169203331-01`],
  ["a span of zeros", `00-${TRACE}-${"0".repeat(16)}-01`],
  ["upper case", `00-${TRACE.toUpperCase()}-b7ad6b7169203331-01`],
  ["more than version 00 has", `00-${TRACE}-b7ad6b7169203331-01-more`],
  ["something endless", `cc-${TRACE}-b7ad6b7169203331-01-${"x".repeat(300)}`],
])("of %s nothing goes on", (_case, traceparent) => {
  expect(traceParentOf(traceparent === undefined ? {} : { traceparent })).toBeUndefined();
});
