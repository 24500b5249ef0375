import { once } from "node:events";
import { request as httpRequest, type ClientRequest, type IncomingMessage } from "node:http";
import { connect, constants, type ClientHttp2Session, type ClientHttp2Stream } from "node:http2";
import { connect as connectTcp } from "node:net";
import { text as readText } from "node:stream/consumers";
import { afterAll, describe, expect, test } from "vitest";
import { startTestApi, type TestApi } from "./support/api-server.ts";
import { startProxyingApis } from "./support/proxying-apis.ts";

// How long the body of a request may take: 30 s, but through the proxy as long as it flows. Here both are shorter.

const BODY_MS = 300;
const PAUSE_MS = 900;
const LIMITS = { headers: 300, body: BODY_MS, check: 50, providerIdle: PAUSE_MS };

// Sends back what it gets, as it gets it.
const apis = await startProxyingApis(LIMITS, (asked, answer) => void asked.pipe(answer.writeHead(200)));
const { plain, secure, ca } = apis;
afterAll(() => apis[Symbol.asyncDispose]());

const headersFor = (api: TestApi) => ({ ...apis.headersFor(api), "content-type": "application/json" });

function openSession(): ClientHttp2Session {
  return connect(secure.url, { ca, servername: "localhost" });
}

/** A request whose body is still to come. */
const begin = {
  "HTTP/1.1": (path: string): ClientRequest =>
    httpRequest(plain.url + path, { method: "POST", headers: headersFor(plain), agent: false }),
  "HTTP/2": (path: string): ClientHttp2Stream => {
    const session = openSession();
    const call = session.request({ ":method": "POST", ":path": path, ...headersFor(secure) });
    call.once("close", () => session.destroy());
    return call;
  },
} as const;

/** What can be read of an answer that has begun. */
async function answerOf(call: ClientRequest | ClientHttp2Stream): Promise<IncomingMessage | ClientHttp2Stream> {
  const [answer] = (await once(call, "response")) as [unknown];
  return "writableHighWaterMark" in call && "session" in call ? call : (answer as IncomingMessage);
}

describe.each(["HTTP/1.1", "HTTP/2"] as const)("over %s", (version) => {
  test("an upload through the proxy lasts as long as it flows, far beyond the time of other bodies", async () => {
    const call = begin[version]("/proxy/x");
    const startedAt = performance.now();
    call.write(".");
    const answer = await answerOf(call);
    let chunks = 0;
    // Each piece is sent once the one before has come back.
    answer.on("data", () => {
      chunks += 1;
      if (performance.now() - startedAt > 5 * BODY_MS) call.end();
      else call.write(".");
    });
    await once(answer, "end");
    expect(chunks).toBeGreaterThan(1);
    expect(performance.now() - startedAt).toBeGreaterThan(5 * BODY_MS);
  });

  test("an upload that pauses for too long is broken off, and with it the call of the provider", async () => {
    const call = begin[version]("/proxy/x");
    call.write("half");
    const answer = await answerOf(call);
    await expect(readText(answer)).rejects.toThrow();
  });

  test("bad case 38: a body for any other route is cut off in time, however steadily it comes", async () => {
    const call = begin[version]("/connections/metadata");
    call.on("error", () => undefined);
    const ended = Promise.withResolvers<number | undefined>();
    call.once("response", (answer: IncomingMessage) => ended.resolve(answer.statusCode));
    call.once("close", () => ended.resolve("rstCode" in call ? call.rstCode : undefined));
    const drip = setInterval(() => call.write(" "), 20);
    expect(await ended.promise).toBe(version === "HTTP/1.1" ? 408 : constants.NGHTTP2_CANCEL);
    clearInterval(drip);
    call.destroy();
  });
});

test("a body that is kept for retries may take its time as well, and a pause in it is 408", async () => {
  const call = httpRequest(`${plain.url}/proxy/x`, {
    method: "PUT",
    headers: { ...headersFor(plain), "content-length": "10" },
    agent: false,
  });
  call.write("half");
  const [answer] = (await once(call, "response")) as [IncomingMessage];
  expect(answer.statusCode).toBe(408);
  expect(JSON.parse(Buffer.concat(await answer.toArray()).toString())).toMatchObject({
    error: { code: "request_timeout" },
  });
});

test("a body that has arrived waits for the database as long as any request, and gets its answer", async () => {
  await using waiting = await startTestApi({ providerIdle: 100, answer: 600 }, { cutOff: AbortSignal.abort() });
  await apis.connect(waiting);
  waiting.wire.goDead();
  const answer = await fetch(`${waiting.url}/proxy/x`, { method: "POST", headers: headersFor(waiting), body: "all" });
  expect(answer.status).toBe(503);
});

test("a caller who goes away in the middle of a body is nothing that the log complains of", async () => {
  const { port } = new URL(plain.url);
  const socket = connectTcp(Number(port), "127.0.0.1");
  const head = Object.entries({ host: "x", ...headersFor(plain), "content-length": "10" });
  socket.write(`PUT /proxy/x HTTP/1.1\r\n${head.map((pair) => pair.join(": ")).join("\r\n")}\r\n\r\nhalf`);
  socket.end();
  await once(socket.resume(), "close");
  expect(plain.logged()).not.toContain('"a request failed"');
});
