import { once } from "node:events";
import { request as httpRequest, type IncomingMessage } from "node:http";
import { connect as connectHttp2, constants, type ClientHttp2Session } from "node:http2";
import { connect as connectTcp } from "node:net";
import { afterAll, expect, test } from "vitest";
import { startTestApi } from "./support/api-server.ts";
import { allowing } from "./support/outbound.ts";
import { startProxyingApis } from "./support/proxying-apis.ts";
import { selfSigned } from "./support/self-signed.ts";
import { startSeverableProxy } from "./support/severable-proxy.ts";

// How long an answer may wait for its caller to take it: 60 s, and here less.

const TAKEN_MS = 600;
const LIMITS = { answerTaken: TAKEN_MS, check: 50, keepAlive: 300 };

/** More than the sockets on both sides take. */
const LARGE = Buffer.alloc(32 * 1024 * 1024, "x");

const apis = await startProxyingApis(LIMITS, (_asked, answer) => void answer.writeHead(200).end(LARGE));
const { plain, secure, ca } = apis;
afterAll(() => apis[Symbol.asyncDispose]());

const { headersFor } = apis;

/** A connection whose requests are sent and whose answers nobody takes. It is written on, since only that tells of its end. */
async function ignored(text: string): Promise<{ readonly closed: Promise<unknown> }> {
  const socket = connectTcp(Number(new URL(plain.url).port), "127.0.0.1");
  socket.on("error", () => undefined).pause();
  await once(socket, "connect");
  socket.write(text);
  const drip = setInterval(() => socket.write("\r\n"), 50);
  const closed = new Promise((resolve) => socket.once("close", resolve)).finally(() => clearInterval(drip));
  return { closed };
}

const head = (path: string, headers: object = {}) =>
  `GET ${path} HTTP/1.1\r\nhost: x\r\n${Object.entries(headers)
    .map(([name, value]) => `${name}: ${value}\r\n`)
    .join("")}\r\n`;

function openSession(initialWindowSize?: number): ClientHttp2Session {
  const settings = initialWindowSize === undefined ? {} : { initialWindowSize };
  return connectHttp2(secure.url, { ca, servername: "localhost", settings }).on("error", () => undefined);
}

test("bad case 38: a caller who asks and takes no answers loses his connection, with a key or without", async () => {
  const [without, withKey] = await Promise.all([
    ignored(head("/openapi.json").repeat(90)),
    ignored(head("/proxy/x", headersFor(plain))),
  ]);
  await Promise.all([without.closed, withKey.closed]);
});

test("bad case 38: more requests than may be pipelined on one connection end it", async () => {
  await (
    await ignored(head("/openapi.json").repeat(1_000))
  ).closed;
});

test("bad case 38: a stream of HTTP/2 whose answer is not taken is reset, and then its idle connection closed", async () => {
  const session = openSession(0);
  const closed = once(session, "close");
  const codes = Array.from({ length: 20 }, async () => {
    const call = session.request({ ":path": "/openapi.json" }).on("error", () => undefined);
    await once(call, "close");
    return call.rstCode;
  });
  expect(new Set(await Promise.all(codes))).toEqual(new Set([constants.NGHTTP2_CANCEL]));
  await closed;
});

test("bad case 38: a connection of HTTP/2 on which nothing is read any more does not keep the process from ending", async () => {
  const certificate = await selfSigned("localhost");
  const wayOut = { allow: allowing("127.0.0.1") };
  await using api = await startTestApi(LIMITS, { wayOut, certificate: { ...certificate, expiresAt: new Date() } });
  await apis.connect(api);
  await using wire = await startSeverableProxy({ host: "127.0.0.1", port: Number(new URL(api.url).port) });
  const session = connectHttp2(`https://localhost:${wire.port}`, {
    ca: certificate.cert,
    settings: { initialWindowSize: LARGE.length },
  }).on("error", () => undefined);
  await once(session, "remoteSettings");
  session.setLocalWindowSize(LARGE.length);
  const call = session.request({ ":path": "/proxy/x", ...headersFor(api) }).on("error", () => undefined);
  await once(call, "response");
  wire.goSilent();
  await api.close();
  session.destroy();
});

test.each(["HTTP/1.1", "HTTP/2"] as const)(
  "an answer over %s lasts as long as it is taken, however slowly",
  async (version) => {
    const session = openSession();
    const call =
      version === "HTTP/2"
        ? session.request({ ":path": "/proxy/x", ...headersFor(secure) })
        : httpRequest(`${plain.url}/proxy/x`, { headers: headersFor(plain), agent: false }).end();
    const [response] = (await once(call, "response")) as [IncomingMessage];
    const answer = "writableHighWaterMark" in call && "session" in call ? call : response;
    const startedAt = performance.now();
    let taken = 0;
    let pausedAt = 0;
    for await (const chunk of answer as AsyncIterable<Buffer>) {
      taken += chunk.length;
      if (performance.now() - startedAt > 3 * TAKEN_MS || taken - pausedAt < LARGE.length / 100) continue;
      pausedAt = taken;
      await new Promise((resolve) => setTimeout(resolve, TAKEN_MS / 20));
    }
    expect(taken).toBe(LARGE.length);
    expect(performance.now() - startedAt).toBeGreaterThan(2 * TAKEN_MS);
    session.destroy();
  },
);
