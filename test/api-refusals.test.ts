import { connect } from "node:net";
import { afterAll, beforeAll, expect, test } from "vitest";
import { z } from "zod";
import { generateToken } from "../src/crypto/token.ts";
import { ask, createEnvironment, startTestApi, type TestApi, type TestEnvironment } from "./support/api-server.ts";

// What the API answers to requests that it does not serve. The public client shows only the status, so these are raw.

let api: TestApi;
let shop: TestEnvironment;
beforeAll(async () => {
  api = await startTestApi();
  shop = await createEnvironment(api);
  await shop.connection(await shop.integration("github"), "acme");
});
afterAll(() => api[Symbol.asyncDispose]());

/** The body of every error, and nothing beside it. */
const errorBody = z.strictObject({
  error: z.strictObject({
    code: z.string(),
    message: z.string().min(10),
    errors: z
      .array(z.strictObject({ code: z.string(), message: z.string(), path: z.array(z.string().or(z.number())) }))
      .optional(),
    payload: z.strictObject({}).optional(),
  }),
});

async function refusal(answer: Response): Promise<{ status: number; error: z.output<typeof errorBody>["error"] }> {
  const { error } = errorBody.parse(await answer.json());
  return { status: answer.status, error };
}

function headersOf(answer: Response): [string, string][] {
  return [...answer.headers].filter(([name]) => name !== "date" && name !== "x-request-id");
}

const ACME = "/connections/acme?provider_config_key=github";

test.each([
  ["no header", undefined, "missing_auth_header"],
  ["another scheme", "Basic YTpi", "malformed_auth_header"],
  ["junk", "Bearer junk", "invalid_secret_key_format"],
  ["a public key", `Bearer ${generateToken("public-key").reveal()}`, "invalid_secret_key_format"],
  ["a key that no environment has", `Bearer ${generateToken("secret-key").reveal()}`, "unknown_account"],
])("%s is answered 401 on every route", async (_case, authorization, code) => {
  const init = authorization === undefined ? {} : { headers: { authorization } };
  const paths = [
    ACME,
    "/connections",
    "/integrations",
    "/integrations/github",
    "/environment-variables",
    "/connection",
    "/config/github",
  ];
  for (const path of paths) {
    const answer = await ask(api, path, undefined, init);
    expect(answer.headers.get("www-authenticate")).toBe('Bearer realm="keystead"');
    expect(await refusal(answer)).toEqual({ status: 401, error: { code, message: expect.any(String), payload: {} } });
  }
});

test("bad case 37: a key that never was and one whose environment was deleted get the same answer", async () => {
  const gone = await createEnvironment(api);
  await gone.connection(await gone.integration("github"), "acme");
  expect((await ask(api, ACME, gone.key)).status).toBe(200);
  await gone.remove();
  const [deleted, unknown] = await Promise.all([
    ask(api, ACME, gone.key),
    ask(api, ACME, generateToken("secret-key").reveal()),
  ]);
  expect(deleted.status).toBe(401);
  expect(await deleted.text()).toBe(await unknown.text());
  expect(headersOf(deleted)).toEqual(headersOf(unknown));
});

test("what another environment has is answered like what does not exist", async () => {
  const other = await createEnvironment(api);
  await other.integration("github");
  expect(await refusal(await ask(api, ACME, other.key))).toMatchObject({ status: 404, error: { code: "not_found" } });
  const stranger = await createEnvironment(api);
  expect(await refusal(await ask(api, ACME, stranger.key))).toMatchObject({
    status: 400,
    error: { code: "unknown_provider_config" },
  });
  expect(await (await ask(api, "/connections", stranger.key)).json()).toEqual({ connections: [] });
});

test("a deleted connection is 404 with the next request", async () => {
  const connection = await shop.connection(await shop.integration("going"), "one");
  const path = "/connections/one?provider_config_key=going";
  expect((await ask(api, path, shop.key)).status).toBe(200);
  await connection.remove();
  expect(await refusal(await ask(api, path, shop.key))).toMatchObject({ status: 404, error: { code: "not_found" } });
  const list = await ask(api, "/connections?integrationId=going", shop.key);
  expect(await list.json()).toEqual({ connections: [] });
});

test.each([
  ["an unknown connection", "/connections/nobody?provider_config_key=github", 404, "not_found"],
  ["an unknown integration", "/connections/acme?provider_config_key=nobody", 400, "unknown_provider_config"],
  ["an unknown integration of its own", "/integrations/nobody", 404, "not_found"],
  ["an unknown path", "/connectionz", 404, "not_found"],
  ["a part of the contract that this version does not have", "/connect/session", 404, "not_found"],
  ["an id with an unencoded slash", "/connections/a/b?provider_config_key=github", 404, "not_found"],
])("%s is refused with its own code", async (_case, path, status, code) => {
  expect(await refusal(await ask(api, path, shop.key))).toMatchObject({ status, error: { code } });
});

test.each(["POST", "PUT", "HEAD"])("%s on a connection is 404 and changes nothing", async (method) => {
  const init =
    method === "HEAD" ? { method } : { method, body: "{not json", headers: { "content-type": "application/x-odd" } };
  expect((await ask(api, ACME, shop.key, init)).status).toBe(404);
  expect((await ask(api, ACME, shop.key)).status).toBe(200);
});

test.each([
  ["no integration", "/connections/acme", ["provider_config_key"]],
  ["a flag that is neither true nor false", `${ACME}&refresh_token=yes`, ["refresh_token"]],
  ["a parameter given twice", `${ACME}&provider_config_key=github`, ["provider_config_key"]],
  ["an integration name with a slash", "/connections/acme?provider_config_key=git/hub", ["provider_config_key"]],
  ["a list limit over 2,000", "/connections?limit=2001", ["limit"]],
  ["a list limit of 0", "/connections?limit=0", ["limit"]],
  ["bad case 39: a page that would overflow", "/connections?page=99999999999999999999", ["page"]],
  ["bad case 39: a page below 0", "/connections?page=-1", ["page"]],
  ["bad case 39: a limit in hexadecimal", "/connections?limit=0x10", ["limit"]],
  ["a tag without a value, twice", "/connections?tags[a]=&tags[a]=", ["tags", "a"]],
  ["tags that are a text", "/connections?tags=sales", ["tags"]],
  ["an include that does not exist", "/integrations/github?include=everything", ["include"]],
])("%s is 400 and the answer names the parameter", async (_case, path, where) => {
  const { status, error } = await refusal(await ask(api, path, shop.key));
  expect([status, error.code]).toEqual([400, "invalid_query_params"]);
  expect(error.errors?.map((issue) => issue.path)).toContainEqual(where);
});

test.each([
  "/connections?integration=github",
  "/connections?tags[__proto__]=x",
  "/connections?__proto__=x",
  "/integrations?limit=1",
  "/environment-variables?name=REGION",
])("a parameter that does not exist is 400 and not a longer list: %s", async (path) => {
  const { status, error } = await refusal(await ask(api, path, shop.key));
  expect([status, error.code, error.errors?.[0]?.code]).toEqual([400, "invalid_query_params", "unrecognized_keys"]);
});

test.each([
  ["an id of 256 characters", `/connections/${"x".repeat(256)}?provider_config_key=github`],
  ["an id with a character that ids cannot have", "/connections/a%3Cb?provider_config_key=github"],
  ["bad case 39: an id with a NUL character", "/connections/a%00b?provider_config_key=github"],
  [
    "bad case 39: an id of dots and encoded slashes in another script",
    "/connections/%E2%80%A5%E2%88%95?provider_config_key=github",
  ],
  ["bad case 39: percent-encoding that is broken", "/connections/%zz?provider_config_key=github"],
  ["a part of the path of 2,000 characters", `/connections/${"x".repeat(2_000)}?provider_config_key=github`],
])("%s is 400 invalid_uri_params", async (_case, path) => {
  expect(await refusal(await ask(api, path, shop.key))).toMatchObject({
    status: 400,
    error: { code: "invalid_uri_params" },
  });
});

test.each(["%2e%2e%2fintegrations", "..%2f..%2flivez", "%2fetc%2fpasswd"])(
  "bad case 39: %s is an id like any other, and leads nowhere",
  async (id) => {
    const { status, error } = await refusal(await ask(api, `/connections/${id}?provider_config_key=github`, shop.key));
    expect([status, error.code]).toEqual([404, "not_found"]);
  },
);

test("bad case 39: a search with a NUL character is the caller's mistake", async () => {
  expect((await ask(api, "/connections?search=a%00b", shop.key)).status).toBe(400);
});

/** Sends bytes as they are and gives everything that came back until the server closed the connection. */
function raw(bytes: string, url = api.url): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect(Number(new URL(url).port), "127.0.0.1", () => socket.write(bytes));
    let text = "";
    socket.on("data", (chunk) => (text += chunk.toString()));
    socket.on("close", () => resolve(text));
    socket.on("error", reject);
  });
}

test.each([
  ["headers of 20 kB", `GET / HTTP/1.1\r\nhost: x\r\nx-long: ${"x".repeat(20_000)}\r\n\r\n`, 431, "headers_too_large"],
  ["what is not HTTP", "HELO mail.example\r\n\r\n", 400, "malformed_request"],
  [
    "Content-Length together with Transfer-Encoding",
    "GET /livez HTTP/1.1\r\nhost: x\r\ncontent-length: 4\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
    400,
    "malformed_request",
  ],
  [
    "a body of 1 GB that is announced",
    "POST /connections HTTP/1.1\r\nhost: x\r\ncontent-length: 1073741824\r\n\r\n{",
    413,
    "body_too_large",
  ],
])("bad case 38: %s gets an answer and the connection ends", async (_case, bytes, status, code) => {
  const text = await raw(bytes);
  expect(text).toMatch(new RegExp(`^HTTP/1.1 ${status} `));
  expect(text).toContain(`"code":"${code}"`);
  expect((await ask(api, "/livez")).status).toBe(200);
});

test("bad case 38: headers and bodies that never end are cut off in time", async () => {
  await using impatient = await startTestApi({ headers: 200, body: 400, check: 50 });
  const [slowHeaders, silence, endlessBody] = await Promise.all([
    raw("GET /livez HTTP/1.1\r\nhost: x\r\nx-a: ", impatient.url),
    raw("", impatient.url),
    raw("GET /livez HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n", impatient.url),
  ]);
  expect(slowHeaders).toContain('"code":"request_timeout"');
  expect(silence).toContain('"code":"request_timeout"');
  expect(endlessBody).toMatch(/^HTTP\/1.1 200 /);
});

test("bad case 38: headers of 1 MB end their connection, however they come, and nobody else notices", async () => {
  const port = Number(new URL(api.url).port);
  const ended = new Promise<void>((resolve) => {
    const socket = connect(port, "127.0.0.1", () => {
      socket.write("GET /livez HTTP/1.1\r\nhost: x\r\n");
      for (let one = 0; one < 1_000; one += 1) socket.write(`x-${one}: ${"x".repeat(1_024)}\r\n`);
    });
    // It is reset while it still writes.
    socket.on("error", () => undefined);
    socket.on("close", () => resolve());
  });
  expect((await ask(api, ACME, shop.key)).status).toBe(200);
  await ended;
});

test.each(["search[]=a", "search[a]=b", "connectionId[]=acme", "limit[]=1", "integrationId[]=github"])(
  "bad case 38: a list where a text is due is 400: %s",
  async (query) => {
    expect(await refusal(await ask(api, `/connections?${query}`, shop.key))).toMatchObject({
      status: 400,
      error: { code: "invalid_query_params" },
    });
  },
);

test("bad case 38: five thousand idle connections do not keep a request waiting", async () => {
  const port = Number(new URL(api.url).port);
  const sockets = await Promise.all(
    Array.from(
      { length: 5_000 },
      () =>
        new Promise<ReturnType<typeof connect>>((resolve) => {
          const socket = connect(port, "127.0.0.1", () => resolve(socket));
        }),
    ),
  );
  expect((await ask(api, ACME, shop.key)).status).toBe(200);
  for (const socket of sockets) socket.destroy();
});

test("a browser may ask from any page, and is told so before it sends a key", async () => {
  const preflight = await ask(api, ACME, undefined, { method: "OPTIONS" });
  expect(preflight.status).toBe(204);
  expect(preflight.headers.get("access-control-allow-origin")).toBe("*");
  expect(preflight.headers.get("access-control-allow-headers")).toContain("Authorization");
  const answer = await ask(api, ACME, shop.key);
  expect(answer.headers.get("access-control-allow-origin")).toBe("*");
  expect((await ask(api, ACME)).headers.get("access-control-allow-origin")).toBe("*");
});

test("nothing in between may keep an answer", async () => {
  const answer = await ask(api, ACME, shop.key);
  expect(answer.headers.get("cache-control")).toBe("no-store");
  expect(answer.headers.get("content-type")).toBe("application/json; charset=utf-8");
});

test("the deprecated names answer like the present ones", async () => {
  for (const [old, present] of [
    ["/connection/acme?provider_config_key=github", ACME],
    ["/connection", "/connections"],
  ] as const) {
    const [a, b] = await Promise.all([ask(api, old, shop.key), ask(api, present, shop.key)]);
    expect(await a.json()).toEqual(await b.json());
  }
  expect(await (await ask(api, "/config/github", shop.key)).json()).toEqual({
    config: { unique_key: "github", provider: "github", syncs: [], actions: [] },
  });
});
