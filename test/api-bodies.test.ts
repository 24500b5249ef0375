import { connect } from "node:net";
import { afterAll, beforeAll, expect, test } from "vitest";
import { ask, createEnvironment, startTestApi, type TestApi, type TestEnvironment } from "./support/api-server.ts";

// Bodies and headers that are made to hurt, against a route that takes a body.

const METADATA = "/connections/metadata";

let api: TestApi;
let shop: TestEnvironment;
beforeAll(async () => {
  api = await startTestApi();
  shop = await createEnvironment(api);
  await shop.connection(await shop.integration("github"), "acme");
});
afterAll(() => api[Symbol.asyncDispose]());

async function posted(body: string | Uint8Array<ArrayBuffer>, contentType = "application/json") {
  const init = { method: "POST", body, headers: { "content-type": contentType } };
  const answer = await ask(api, METADATA, shop.key, init);
  const { error } = (await answer.json()) as { error?: { code: string } };
  return [answer.status, error?.code];
}

const valid = { connection_id: "acme", provider_config_key: "github", metadata: { plan: "pro" } };
const withMetadata = (metadata: string) =>
  `${JSON.stringify(valid)
    .slice(0, -1)
    .replace(/"metadata":.*$/, "")}"metadata":${metadata}}`;

test("a body as it should be is taken", async () => {
  expect(await posted(JSON.stringify(valid))).toEqual([201, undefined]);
  expect(await posted(withMetadata('{"plan":"pro"}'), "application/json; charset=UTF-8")).toEqual([201, undefined]);
});

test.each([
  ["JSON 100,000 levels deep", withMetadata("[".repeat(100_000) + "]".repeat(100_000)), 400, "invalid_json"],
  ["a member twice", withMetadata('{"plan":"pro","plan":"free"}'), 400, "invalid_json"],
  ["__proto__", withMetadata('{"__proto__":{"admin":true}}'), 400, "invalid_json"],
  ["no JSON", "{", 400, "invalid_json"],
  ["bytes that are no UTF-8", new Uint8Array([0x22, 0xe9, 0x22]), 400, "invalid_json"],
  ["a list where an object is due", "[]", 400, "invalid_body"],
  ["a list where a text is due", JSON.stringify({ ...valid, provider_config_key: ["github"] }), 400, "invalid_body"],
  ["an object where a text is due", JSON.stringify({ ...valid, provider_config_key: { a: 1 } }), 400, "invalid_body"],
  ["no body", "", 400, "invalid_body"],
])("bad case 38: %s is refused with its code", async (_case, body, status, code) => {
  expect(await posted(body)).toEqual([status, code]);
  expect(await posted(JSON.stringify(valid)), "and nothing is left behind").toEqual([201, undefined]);
});

test.each(["application/json; charset=utf-16", "application/json; charset=x-unknown", "text/plain", "application/xml"])(
  "bad case 38: a body of %s is 415",
  async (contentType) => {
    expect(await posted(JSON.stringify(valid), contentType)).toEqual([415, "invalid_content_type"]);
  },
);

test("bad case 38: a body of 1 GB that nobody announced is refused after 1 MiB, and not read on", async () => {
  const port = Number(new URL(api.url).port);
  let sent = 0;
  const text = await new Promise<string>((resolve) => {
    let received = "";
    const chunk = `10000\r\n${"x".repeat(65_536)}\r\n`;
    const socket = connect(port, "127.0.0.1", () => {
      socket.write(
        `POST ${METADATA} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ${shop.key}\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n`,
      );
      const more = (): void => {
        while (sent < 2 ** 30 && !socket.destroyed) {
          sent += 65_536;
          if (!socket.write(chunk)) return;
        }
      };
      socket.on("drain", more);
      more();
    });
    socket.on("data", (data) => (received += data.toString()));
    // It is reset while it still writes.
    socket.on("error", () => undefined);
    socket.on("close", () => resolve(received));
  });
  expect(text === "" || text.startsWith("HTTP/1.1 413 ")).toBe(true);
  expect(sent).toBeLessThan(2 ** 26);
  expect((await ask(api, "/livez")).status).toBe(200);
});

test("every answer has a request id, the caller's where it can be used, and goes on with the caller's trace", async () => {
  const headers = { "x-request-id": "seven", traceparent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01" };
  for (const [path, key] of [
    ["/connections", shop.key],
    ["/connections", "junk"],
    ["/nowhere", undefined],
  ] as const) {
    const answer = await ask(api, path, key, { headers });
    expect(answer.headers.get("x-request-id")).toBe("seven");
    expect(answer.headers.get("traceparent")).toMatch(/^00-0af7651916cd43dd8448eb211c80319c-[0-9a-f]{16}-01$/);
  }
  const own = await ask(api, "/connections", shop.key, { headers: { "x-request-id": "a b" } });
  expect(own.headers.get("x-request-id")).toMatch(/^[0-9a-f-]{36}$/);
  expect(own.headers.get("traceparent")).toBeNull();
  expect(api.logged()).toContain('"requestId":"seven"');
});
