import { Readable } from "node:stream";
import { expect, test } from "vitest";
import { followed, type Hop } from "./redirect.ts";

const hop = (change: Partial<Hop> = {}): Hop => ({
  method: "GET",
  url: new URL("https://api.provider.example/v1/things?page=2"),
  headers: { authorization: "Bearer t", "x-api-key": "k", accept: "application/json" },
  body: undefined,
  ...change,
});

test("on the same origin everything goes along", () => {
  const next = followed(hop(), 302, "/v2/things");
  expect(next?.url.href).toBe("https://api.provider.example/v2/things");
  expect(next?.headers).toEqual(hop().headers);
});

test.each([
  ["another host", "https://evil.example/"],
  ["a host above", "https://provider.example/"],
  ["another port", "https://api.provider.example:8443/"],
  ["plain http", "http://api.provider.example/"],
  ["another host without a scheme", "//evil.example/x"],
  ["one with a user name", "https://api.provider.example@evil.example/"],
])("to %s only headers go along that hold no credential", (_case, location) => {
  expect(followed(hop(), 307, location)?.headers).toEqual({ accept: "application/json" });
});

const posted = { method: "POST", body: Buffer.from("{}"), headers: { "content-type": "application/json", "x-a": "1" } };
test.each<[why: string, change: Partial<Hop>, status: number, method: string | undefined, hasBody: boolean]>([
  ["a POST that was moved is asked for", posted, 301, "GET", false],
  ["a POST that was found elsewhere is asked for", posted, 302, "GET", false],
  ["a PUT that was found elsewhere stays one", { ...posted, method: "PUT" }, 302, "PUT", true],
  ["after 303 anything is asked for", { ...posted, method: "PUT" }, 303, "GET", false],
  ["after 303 a HEAD stays one", { method: "HEAD" }, 303, "HEAD", false],
  ["after 307 a POST stays one", posted, 307, "POST", true],
  ["after 308 a POST stays one", posted, 308, "POST", true],
  ["a body that was streamed cannot be sent again", { ...posted, body: Readable.from(["x"]) }, 307, undefined, false],
  [
    "a streamed POST that was found elsewhere needs no body",
    { ...posted, body: Readable.from(["x"]) },
    302,
    "GET",
    false,
  ],
  ["304 is no redirect", {}, 304, undefined, false],
  ["200 is none", {}, 200, undefined, false],
])("%s", (_why, change, status, method, hasBody) => {
  const next = followed(hop(change), status, "/elsewhere");
  expect(next?.method).toBe(method);
  expect(next?.body !== undefined).toBe(hasBody);
  if (next && change.body && !hasBody) expect(Object.keys(next.headers)).toEqual(["x-a"]);
});

test.each([undefined, "http://", "file:///etc/passwd", "javascript:alert(1)"])("%s leads nowhere", (location) => {
  expect(followed(hop(), 302, location)).toBeUndefined();
});
