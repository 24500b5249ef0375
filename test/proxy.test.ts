import { once } from "node:events";
import { request as httpRequest, type IncomingMessage } from "node:http";
import { connect, type IncomingHttpHeaders } from "node:http2";
import { text as readText } from "node:stream/consumers";
import { brotliCompressSync, deflateSync, gzipSync, zstdCompressSync } from "node:zlib";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { ask, createEnvironment, startTestApi, type TestApi, type TestEnvironment } from "./support/api-server.ts";
import { allowing } from "./support/outbound.ts";
import { selfSigned } from "./support/self-signed.ts";
import { redirect, startUpstream, text, type Upstream } from "./support/upstream.ts";

// The proxy as applications use it, by Nango's client and without, against a provider on loopback.

let api: TestApi;
let upstream: Upstream;
let environment: TestEnvironment;

const TOKEN = "token-of-acme";
const to = { providerConfigKey: "tool", connectionId: "acme" };
const headers = { "provider-config-key": "tool", "connection-id": "acme" };

beforeAll(async () => {
  // At the end connections are cut, those that a client opened and never used as well.
  api = await startTestApi({}, { cutOff: AbortSignal.abort(), wayOut: { allow: allowing("127.0.0.1") } });
  upstream = await startUpstream();
  environment = await createEnvironment(api);
  const tool = await environment.integration("tool", {
    mode: "OAUTH2",
    proxy: {
      baseUrl: `${upstream.url}/v1`,
      headers: { Authorization: "Bearer ${credentials.access_token}" },
      query: { account: "${config.account}" },
    },
  });
  const credentials = { type: "OAUTH2", value: { access_token: TOKEN, raw: {} } } as const;
  await environment.connection(tool, "acme", { credentials, config: { account: "a 1" }, tags: { team: "sales" } });
  await environment.connection(await environment.integration("bare"), "acme");
});

afterAll(async () => {
  await api[Symbol.asyncDispose]();
  await upstream[Symbol.asyncDispose]();
});

beforeEach(() => upstream.script(text("ok")));

const last = () => upstream.calls.at(-1) ?? expect.fail("nothing arrived");

const withHeaders = (change: object): RequestInit => ({ headers: { ...headers, ...change } });

/** The answer without the unpacking that `fetch` does by itself. */
async function askPacked(more: object, method = "GET"): Promise<IncomingMessage> {
  const all = { ...headers, ...more, authorization: `Bearer ${environment.key}` };
  const call = httpRequest(`${api.url}/proxy/x`, { method, headers: all }).end();
  const [answer] = (await once(call, "response")) as [IncomingMessage];
  return answer;
}

const PACKERS: Readonly<Record<string, (text: string) => Buffer>> = {
  gzip: gzipSync,
  deflate: deflateSync,
  br: brotliCompressSync,
  zstd: zstdCompressSync,
};

async function refused(path: string, init: RequestInit, key = environment.key): Promise<string> {
  const before = upstream.calls.length;
  const answer = await ask(api, path, key, init);
  const body = (await answer.json()) as { error: { code: string } };
  expect(upstream.calls.length, "nothing was sent").toBe(before);
  return `${answer.status} ${body.error.code}`;
}

test.each(["get", "post", "put", "patch", "delete"] as const)(
  "nango.%s calls the provider with the credential put in, and gives its answer",
  async (method) => {
    upstream.script(text('{"made":true}', { "content-type": "application/json", "x-request-id": "r-1" }, 201));
    const hasBody = method !== "get" && method !== "delete";
    const answer = await environment.nango[method]({
      ...to,
      endpoint: "/things/7",
      params: { page: "2" },
      headers: { "X-Custom": "mine" },
      ...(hasBody && { data: { name: "new" } }),
    });
    expect(answer).toMatchObject({ status: 201, data: { made: true }, headers: { "x-request-id": "r-1" } });
    expect(last()).toMatchObject({
      method: method.toUpperCase(),
      url: "/v1/things/7?page=2&account=a%201",
      body: hasBody ? '{"name":"new"}' : "",
      headers: { authorization: `Bearer ${TOKEN}`, "x-custom": "mine", host: `127.0.0.1:${upstream.port}` },
    });
  },
);

test("nango.proxy passes the provider's errors on as they are", async () => {
  upstream.script(text('{"error":"no such thing"}', { "content-type": "application/json" }, 404));
  await expect(environment.nango.proxy({ ...to, method: "GET", endpoint: "/nothing" })).rejects.toMatchObject({
    response: { status: 404, data: { error: "no such thing" } },
  });
});

test("nango.proxy with retries waits out a temporary error, and as long as the provider asks", async () => {
  const before = upstream.calls.length;
  upstream.script(text("", { "retry-after": "0" }, 429), text("", {}, 503), text("there"));
  const answer = await environment.nango.proxy({ ...to, method: "POST", endpoint: "/x", data: "body", retries: 2 });
  expect(answer.data).toBe("there");
  expect(upstream.calls.slice(before).map(({ body }) => body)).toEqual(["body", "body", "body"]);
  upstream.script(text("busy", {}, 418), text("there"));
  expect((await environment.nango.get({ ...to, endpoint: "/x", retries: 1, retryOn: [418] })).data).toBe("there");
  upstream.script(text("come back tomorrow", { "retry-after": "86400" }, 503));
  await expect(environment.nango.get({ ...to, endpoint: "/x", retries: 1 })).rejects.toMatchObject({
    response: { status: 503, data: "come back tomorrow", headers: { "retry-after": "86400" } },
  });
});

test("with HEAD, 204 and 304 an answer has no body and keeps its headers", async () => {
  upstream.script(text("", { "content-length": "1234", etag: '"7"' }));
  const head = await ask(api, "/proxy/x", environment.key, { method: "HEAD", headers });
  expect([head.status, head.headers.get("content-length"), head.headers.get("etag")]).toEqual([200, "1234", '"7"']);
  upstream.script((response) => void response.writeHead(204).end());
  expect((await ask(api, "/proxy/x", environment.key, { method: "DELETE", headers })).status).toBe(204);
  upstream.script((response) => void response.writeHead(304, { etag: '"7"' }).end());
  expect((await ask(api, "/proxy/x", environment.key, { headers })).headers.get("etag")).toBe('"7"');
});

test("our Authorization, cookies, forwarding headers and Keystead's own are not sent on", async () => {
  await ask(api, "/proxy/x", environment.key, {
    headers: {
      ...headers,
      cookie: "session=1",
      "x-forwarded-for": "10.0.0.1",
      "x-other": "1",
      retries: "0",
      "nango-proxy-host": "evil.example",
      "nango-proxy-transfer-encoding": "chunked",
      "nango-proxy-x-own": "1",
      accept: "text/plain",
    },
  });
  const { host, "user-agent": _agent, connection: _connection, ...sent } = last().headers;
  expect(host).toBe(`127.0.0.1:${upstream.port}`);
  expect(sent).toEqual({
    authorization: `Bearer ${TOKEN}`,
    accept: "text/plain",
    "accept-encoding": "gzip, deflate",
    "accept-language": "*",
    "x-own": "1",
  });
});

test("hop-by-hop headers and words about the provider's host end here, all others arrive", async () => {
  upstream.script((response) => {
    response.setHeader("set-cookie", ["a=1", "b=2"]);
    response.writeHead(200, {
      connection: "x-hop, keep-alive",
      "x-hop": "1",
      "proxy-authenticate": "Basic",
      "strict-transport-security": "max-age=1",
      "alt-svc": "h3",
      "access-control-allow-origin": "https://provider.example",
      vary: "Accept",
      "x-rate": "7",
    });
    response.end("ok");
  });
  const answer = await ask(api, "/proxy/x", environment.key, { headers });
  for (const name of ["x-hop", "proxy-authenticate", "strict-transport-security", "alt-svc"]) {
    expect(answer.headers.get(name), name).toBeNull();
  }
  expect(answer.headers.get("x-rate")).toBe("7");
  expect(answer.headers.getSetCookie()).toEqual(["a=1", "b=2"]);
  expect(answer.headers.get("access-control-allow-origin")).toBe("*");
  expect(answer.headers.get("vary")).toBe(
    "Accept, Authorization, Provider-Config-Key, Connection-Id, Base-Url-Override",
  );
});

test("a packed answer stays packed, unless Decompress asks for it plain", async () => {
  const packed = gzipSync("plain text");
  upstream.script((response) => void response.writeHead(200, { "content-encoding": "gzip" }).end(packed));
  const asIs = await askPacked({});
  expect(asIs.headers["content-encoding"]).toBe("gzip");
  expect(Buffer.concat(await asIs.toArray())).toEqual(packed);
  const plain = await askPacked({ decompress: "true" });
  expect(plain.headers["content-encoding"]).toBeUndefined();
  expect(Buffer.concat(await plain.toArray()).toString()).toBe("plain text");
  expect(last().headers["accept-encoding"]).toContain("gzip");
});

test.each([
  ["the answer to HEAD", "HEAD", 200, { "content-encoding": "gzip", "content-length": "30" }],
  ["304", "GET", 304, { "content-encoding": "gzip", etag: '"1"' }],
  ["204", "GET", 204, { "content-encoding": "gzip" }],
  ["an empty body", "GET", 200, { "content-encoding": "gzip", "content-length": "0" }],
] as const)("with Decompress %s keeps its headers and arrives whole", async (_case, method, status, sent) => {
  upstream.script((response) => void response.writeHead(status, sent).end());
  const answer = await askPacked({ decompress: "true" }, method);
  expect(answer.statusCode).toBe(status);
  expect(answer.headers).toMatchObject(sent);
  expect(Buffer.concat(await answer.toArray())).toHaveLength(0);
});

test.each(["gzip", "deflate", "br", "zstd"])(
  "with Decompress a body of %s that turns out to be empty is one, and one that breaks off breaks off",
  async (encoding) => {
    upstream.script((response) => {
      response.writeHead(200, { "content-encoding": encoding }).flushHeaders();
      response.end();
    });
    const empty = await askPacked({ decompress: "true" });
    expect([empty.statusCode, empty.headers["content-encoding"]]).toEqual([200, undefined]);
    expect(Buffer.concat(await empty.toArray())).toHaveLength(0);

    const packed = PACKERS[encoding]?.("plain text that is packed") ?? expect.unreachable();
    upstream.script((response) => void response.writeHead(200, { "content-encoding": encoding }).end(packed));
    const whole = await askPacked({ decompress: "true" });
    expect(Buffer.concat(await whole.toArray()).toString()).toBe("plain text that is packed");
    upstream.script((response) => {
      response.writeHead(200, { "content-encoding": encoding }).end(packed.subarray(0, packed.length - 4));
    });
    await expect(askPacked({ decompress: "true" }).then((answer) => answer.toArray())).rejects.toThrow();
  },
);

test("what cannot be proxied is refused with the contract's codes, and nothing is sent", async () => {
  expect(await refused("/proxy/x", withHeaders({}), "")).toBe("401 malformed_auth_header");
  expect(await refused("/proxy/x", withHeaders({ "provider-config-key": "other" }))).toBe(
    "404 unknown_provider_config",
  );
  expect(await refused("/proxy/x", withHeaders({ "connection-id": "other" }))).toBe("400 server_error");
  expect(await refused("/proxy/x", withHeaders({ "provider-config-key": "" }))).toBe("400 invalid_headers");
  expect(await refused("/proxy/x", withHeaders({ "provider-config-key": "bare" }))).toBe("400 proxy_not_configured");
  expect(await refused("/proxy/x", withHeaders({ "base-url-override": "https://evil.example" }))).toBe(
    "400 base_url_override_disabled",
  );
});

test("a named key needs the scope proxy, and its selector counts", async () => {
  const [reader, seller, supporter] = await environment.apiKeys(
    { name: "reader", scopes: ["connections:read_credentials"] },
    { name: "seller", scopes: ["proxy"], connectionSelector: { team: "sales" } },
    { name: "supporter", scopes: ["proxy"], connectionSelector: { team: "support" } },
  );
  expect(await refused("/proxy/x", { headers }, reader)).toBe("403 forbidden");
  expect(await refused("/proxy/x", { headers }, supporter)).toBe("400 server_error");
  expect((await ask(api, "/proxy/x", seller, { headers })).status).toBe(200);
});

test("bad case 9: the key of another environment finds neither integration nor connection", async () => {
  const other = await createEnvironment(api);
  expect(await refused("/proxy/x", { headers }, other.key)).toBe("404 unknown_provider_config");
});

test("the read of the credential is recorded before anything is sent, whatever becomes of the call", async () => {
  const recorded = async (): Promise<number> => {
    const [row] = await api.vault.database.query<{ reads: number }>(
      "select sum(occurrences)::int as reads from keystead.audit_events where action = 'connection.proxied'",
    );
    return row?.reads ?? 0;
  };
  const before = await recorded();
  const seen = Promise.withResolvers<number>();
  upstream.script(
    (_response, _call, socket) =>
      void recorded()
        .then(seen.resolve)
        .then(() => socket.destroy()),
  );
  expect((await ask(api, "/proxy/x", environment.key, { headers })).status).toBe(502);
  expect(await seen.promise).toBe(before + 1);
});

test("a redirect to another origin is followed without the credential, one into the cluster is refused", async () => {
  await using elsewhere = await startUpstream();
  upstream.script(redirect(`${elsewhere.url}/file`));
  const answer = await ask(api, "/proxy/x", environment.key, { headers });
  expect([answer.status, await answer.text()]).toEqual([200, "ok"]);
  expect(elsewhere.calls[0]?.headers).not.toHaveProperty("authorization");
  upstream.script(redirect("http://127.0.0.2:1/"));
  const inside = await ask(api, "/proxy/x", environment.key, { headers });
  expect([inside.status, await inside.json()]).toMatchObject([400, { error: { code: "outbound_refused" } }]);
});

test("an integration whose origin was edited sends nothing until it is accepted", async () => {
  const { id } = environment;
  const proxy = { baseUrl: upstream.url, headers: {} };
  const edited = await environment.integration("edited", { proxy, acceptedOrigins: ["https://before.example"] });
  await environment.connection(edited, "acme");
  expect(id).toBe(edited.environmentId);
  expect(await refused("/proxy/x", { headers: { ...headers, "provider-config-key": "edited" } })).toBe(
    "409 origin_not_accepted",
  );
});

test("a caller who goes away breaks off the call", async () => {
  const broken = Promise.withResolvers<void>();
  const leaving = new AbortController();
  upstream.script((response) => {
    response.on("close", () => broken.resolve());
    leaving.abort();
  });
  await expect(ask(api, "/proxy/x", environment.key, { headers, signal: leaving.signal })).rejects.toThrow();
  await broken.promise;
});

test("an answer that breaks off breaks off here as well, instead of looking complete", async () => {
  upstream.script((response, _call, socket) => {
    response.writeHead(200, { "content-length": "100" }).write("half");
    setImmediate(() => socket.destroy());
  });
  const answer = await ask(api, "/proxy/x", environment.key, { headers });
  expect(answer.status).toBe(200);
  await expect(answer.text()).rejects.toThrow();
});

/** Far more than sockets hold. */
const STREAMED = 256 * 1024 * 1024;

test("a caller who does not read holds up the provider, and nothing piles up here", async () => {
  let produced = 0;
  const held = Promise.withResolvers<void>();
  upstream.script((response) => {
    const chunk = Buffer.alloc(256 * 1024);
    const more = (): void => {
      while (produced < STREAMED && !response.destroyed) {
        produced += chunk.length;
        if (!response.write(chunk)) {
          held.resolve();
          response.once("drain", more);
          return;
        }
      }
      response.end();
    };
    response.writeHead(200);
    more();
  });
  const call = httpRequest(`${api.url}/proxy/x`, {
    headers: { ...headers, authorization: `Bearer ${environment.key}` },
  });
  call.end();
  const [answer] = (await once(call, "response")) as [IncomingMessage];
  await held.promise;
  // What the sockets in between hold, far from all of it; then it goes on.
  expect(produced).toBeLessThan(64 * 1024 * 1024);
  let returned = 0;
  for await (const data of answer as AsyncIterable<Buffer>) returned += data.length;
  expect(returned).toBe(STREAMED);
});

test("over HTTP/2 a body of unknown length passes, and no header that HTTP/2 forbids is in the answer", async () => {
  const certificate = await selfSigned("localhost");
  await using secure = await startTestApi(
    {},
    {
      certificate: { ...certificate, expiresAt: new Date() },
      cutOff: AbortSignal.abort(),
      wayOut: { allow: allowing("127.0.0.1") },
    },
  );
  const other = await createEnvironment(secure);
  await other.connection(await other.integration("tool", { proxy: { baseUrl: upstream.url } }), "acme");
  upstream.script(text("made", { connection: "close", "keep-alive": "timeout=5" }, 201));
  const session = connect(secure.url.replace("http://", "https://"), { ca: certificate.cert, servername: "localhost" });
  const call = session.request({
    ":method": "POST",
    ":path": "/proxy/x",
    ...headers,
    authorization: `Bearer ${other.key}`,
  });
  call.write("first, ");
  call.end("second");
  const [answer] = (await once(call, "response")) as [IncomingHttpHeaders];
  expect([answer[":status"], answer["connection"], await readText(call)]).toEqual([201, undefined, "made"]);
  expect(last()).toMatchObject({ method: "POST", body: "first, second" });
  session.destroy();
});
