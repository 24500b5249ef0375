import { once } from "node:events";
import { createServer } from "node:net";
import { Readable } from "node:stream";
import { text as readText } from "node:stream/consumers";
import { expect, test } from "vitest";
import { allowing, get } from "../../test/support/outbound.ts";
import { selfSigned } from "../../test/support/self-signed.ts";
import { redirect, startUpstream, text } from "../../test/support/upstream.ts";
import { KeysteadError } from "../errors.ts";
import { createOutbound, type Outbound, type OutboundRequest } from "./outbound.ts";

const resolve = async (): Promise<string[]> => ["127.0.0.1"];

async function answerOf(outbound: Outbound, request: OutboundRequest): Promise<string> {
  const { status, body } = await outbound.call(request);
  return `${status} ${await readText(body)}`;
}

/** The code that the call, or the reading of its answer, is refused with. */
async function codeOf(outbound: Outbound, request: OutboundRequest): Promise<string> {
  try {
    return await answerOf(outbound, request);
  } catch (thrown) {
    return thrown instanceof KeysteadError ? thrown.code : `not ours: ${String(thrown)}`;
  }
}

test("what is not listed is never connected to, whatever form its address is written in", async () => {
  await using upstream = await startUpstream();
  using outbound = createOutbound({ allow: [] });
  for (const host of [
    "127.0.0.1",
    "localhost",
    "127.1",
    "2130706433",
    "0x7f.0.0.1",
    "0177.0.0.1",
    "0.0.0.0",
    "[::ffff:127.0.0.1]",
    "[::ffff:7f00:1]",
    "[::1]",
  ]) {
    expect(await codeOf(outbound, get(`http://${host}:${upstream.port}/`)), host).toBe("outbound_refused");
    expect(await codeOf(outbound, get(`https://${host}:${upstream.port}/`)), host).toBe("outbound_refused");
  }
  expect(upstream.connections).toBe(0);
});

test("a listed network, a listed host and a list for the namespace each open the way", async () => {
  await using upstream = await startUpstream();
  for (const list of ["127.0.0.0/8", "localhost", "shop=127.0.0.1"]) {
    using outbound = createOutbound({ allow: allowing(list), resolve });
    const host = list === "localhost" ? "localhost" : "127.0.0.1";
    expect(await codeOf(outbound, get(`http://${host}:${upstream.port}/`)), list).toBe("200 ok");
  }
  using outbound = createOutbound({ allow: allowing("shop=127.0.0.1") });
  expect(await codeOf(outbound, get(upstream.url)), "the namespace").toBe("200 ok");
  expect(
    await codeOf(outbound, get(upstream.url, { namespace: "crm" })),
    "another one, while the connection is kept",
  ).toBe("outbound_refused");
});

test("a name is asked for once, and the address that was checked is the one that is dialled", async () => {
  await using upstream = await startUpstream();
  const answers = [["127.0.0.1"], ["169.254.169.254"]];
  let asked = 0;
  using outbound = createOutbound({
    allow: allowing("127.0.0.1"),
    resolve: async () => answers[asked++] ?? expect.fail("asked too often"),
  });
  const url = `http://rebinding.example:${upstream.port}/`;
  expect(await codeOf(outbound, get(url, { headers: { connection: "close" } }))).toBe("200 ok");
  expect(asked).toBe(1);
  expect(upstream.calls[0]?.headers.host).toBe(`rebinding.example:${upstream.port}`);
  expect(await codeOf(outbound, get(url)), "what the name means next is checked anew").toBe("outbound_refused");
});

test("one address that is not allowed refuses the whole name", async () => {
  await using upstream = await startUpstream();
  using outbound = createOutbound({ allow: allowing("127.0.0.1"), resolve: async () => ["127.0.0.1", "127.0.0.2"] });
  expect(await codeOf(outbound, get(`http://mixed.example:${upstream.port}/`))).toBe("outbound_refused");
  expect(upstream.connections).toBe(0);
});

test("when the first address of a name does not answer, the next one is taken", async () => {
  await using upstream = await startUpstream();
  using outbound = createOutbound({ allow: allowing("127.0.0.0/8"), resolve: async () => ["127.0.0.9", "127.0.0.1"] });
  expect(await codeOf(outbound, get(`http://two.example:${upstream.port}/`))).toBe("200 ok");
});

test("a public server is not called over plain http", async () => {
  using outbound = createOutbound({ allow: [], resolve: async () => ["93.184.216.34"] });
  expect(await codeOf(outbound, get("http://public.example/"))).toBe("outbound_refused");
});

test("a name that does not exist is told as such", async () => {
  const missing = Object.assign(new Error("getaddrinfo ENOTFOUND nowhere.example"), { code: "ENOTFOUND" });
  using outbound = createOutbound({ allow: [], resolve: () => Promise.reject(missing) });
  await expect(outbound.call(get("https://nowhere.example/"))).rejects.toMatchObject({
    code: "outbound_unreachable",
    message: "The name nowhere.example cannot be resolved (ENOTFOUND).",
  });
});

test("a redirect is checked like a call of its own", async () => {
  await using outside = await startUpstream();
  await using inside = await startUpstream({ host: "127.0.0.2" });
  using outbound = createOutbound({ allow: allowing("127.0.0.1") });
  for (const location of [
    `http://127.0.0.2:${inside.port}/`,
    "http://169.254.169.254/latest/meta-data/",
    "http://[::1]/",
  ]) {
    outside.script(redirect(location));
    expect(await codeOf(outbound, get(outside.url)), location).toBe("outbound_refused");
  }
  expect(inside.connections).toBe(0);
});

test("credentials go along on the same origin, and stay behind when a redirect leaves it", async () => {
  await using first = await startUpstream();
  await using second = await startUpstream();
  using outbound = createOutbound({ allow: allowing("127.0.0.1") });
  const headers = { authorization: "Bearer t", "x-api-key": "k", cookie: "c=1", accept: "text/plain" };
  first.script(redirect("/next"), redirect(`${second.url}/elsewhere`));
  expect(await codeOf(outbound, get(first.url, { headers }))).toBe("200 ok");
  expect(first.calls[1]?.headers).toMatchObject(headers);
  expect(second.calls[0]?.headers).toMatchObject({ accept: "text/plain" });
  const there = Object.keys(second.calls[0]?.headers ?? {});
  expect(there.filter((name) => ["authorization", "x-api-key", "cookie"].includes(name))).toEqual([]);
});

test("five redirects are followed, the sixth ends the call; with none it is the answer", async () => {
  await using upstream = await startUpstream();
  using outbound = createOutbound({ allow: allowing("127.0.0.1") });
  const five = Array.from({ length: 5 }, () => redirect("/again"));
  upstream.script(...five, text("there"));
  expect(await codeOf(outbound, get(upstream.url))).toBe("200 there");
  upstream.script(redirect("/again"));
  expect(await codeOf(outbound, get(upstream.url))).toBe("outbound_redirects_exceeded");
  expect(upstream.calls).toHaveLength(12);
  expect(await codeOf(outbound, get(upstream.url, { redirects: 0 }))).toBe("302 ");
});

test("a body that is kept is sent again after 307, a streamed one is not", async () => {
  await using upstream = await startUpstream();
  using outbound = createOutbound({ allow: allowing("127.0.0.1") });
  const posted = { method: "POST", headers: { "content-type": "text/plain" } };
  upstream.script(redirect("/next", 307), text("ok"));
  expect(await codeOf(outbound, get(upstream.url, { ...posted, body: Buffer.from("kept") }))).toBe("200 ok");
  expect(upstream.calls.map(({ method, body }) => `${method} ${body}`)).toEqual(["POST kept", "POST kept"]);
  upstream.script(redirect("/next", 307), text("ok"));
  expect(await codeOf(outbound, get(upstream.url, { ...posted, body: Readable.from(["gone"]) }))).toBe("307 ");
});

test("a server that does not speak, answer, go on or end is waited for as long as the limit says", async () => {
  const silent = createServer().listen(0, "127.0.0.1");
  await once(silent, "listening");
  const address = silent.address();
  const port = address !== null && typeof address === "object" ? address.port : 0;
  await using upstream = await startUpstream();
  using outbound = createOutbound({
    allow: allowing("127.0.0.0/8,never.example"),
    resolve: () => new Promise(() => undefined),
  });
  const late = "outbound_timeout";
  expect(await codeOf(outbound, get("https://never.example/", { limits: { connectMs: 30 } })), "DNS").toBe(late);
  expect(await codeOf(outbound, get(`https://127.0.0.1:${port}/`, { limits: { connectMs: 30 } })), "TLS").toBe(late);
  upstream.script(() => undefined);
  expect(await codeOf(outbound, get(upstream.url, { limits: { firstByteMs: 30 } })), "head").toBe(late);
  upstream.script((response) => void response.writeHead(200, { "content-length": "9" }).write("half"));
  expect(await codeOf(outbound, get(upstream.url, { limits: { idleMs: 100 } })), "body").toBe(late);
  upstream.script((response) => {
    const drip = setInterval(() => response.write("."), 5);
    response.on("close", () => clearInterval(drip));
  });
  expect(await codeOf(outbound, get(upstream.url, { limits: { totalMs: 100 } })), "all of it").toBe(late);
  silent.close();
});

test("an answer with a head or a body beyond the limit is cut off", async () => {
  await using upstream = await startUpstream();
  using outbound = createOutbound({ allow: allowing("127.0.0.1") });
  upstream.script(text("ok", { "x-long": "x".repeat(5_000) }));
  expect(await codeOf(outbound, get(upstream.url, { limits: { headerBytes: 4_096 } }))).toBe("outbound_answer_invalid");
  upstream.script(text("x".repeat(1_001)));
  expect(await codeOf(outbound, get(upstream.url, { limits: { bodyBytes: 1_000 } }))).toBe("outbound_answer_too_large");
  upstream.script(text("x".repeat(1_000)));
  expect(await codeOf(outbound, get(upstream.url, { limits: { bodyBytes: 1_000 } }))).toHaveLength(1_004);
});

test("a certificate counts only if it is trusted and for the name", async () => {
  const certificate = await selfSigned("localhost", "provider.example");
  await using upstream = await startUpstream({ tls: certificate });
  const allow = allowing("127.0.0.0/8");
  using distrustful = createOutbound({ allow, resolve });
  expect(await codeOf(distrustful, get(upstream.url))).toBe("outbound_tls_invalid");
  using trusting = createOutbound({ allow, resolve, ca: [certificate.cert] });
  expect(await codeOf(trusting, get(upstream.url))).toBe("200 ok");
  expect(await codeOf(trusting, get(`https://provider.example:${upstream.port}/`))).toBe("200 ok");
  expect(await codeOf(trusting, get(`https://other.example:${upstream.port}/`))).toBe("outbound_tls_invalid");
  expect(await codeOf(trusting, get(`https://127.0.0.1:${upstream.port}/`))).toBe("outbound_tls_invalid");
});

test("a connection that is refused or reset is told, and no message repeats what was sent or received", async () => {
  await using upstream = await startUpstream();
  using outbound = createOutbound({ allow: allowing("127.0.0.1") });
  const secretly = get(`${upstream.url}/canary-path?key=canary-query`, {
    method: "POST",
    headers: { authorization: "Bearer canary-header" },
    body: Buffer.from("canary-body"),
  });
  const failures: unknown[] = [];
  upstream.script((_response, _call, socket) => socket.destroy());
  failures.push(await outbound.call(secretly).catch((thrown: unknown) => thrown));
  upstream.script((_response, _call, socket) => void socket.end("canary-answer is no HTTP\r\n\r\n"));
  failures.push(await outbound.call(secretly).catch((thrown: unknown) => thrown));
  await upstream[Symbol.asyncDispose]();
  failures.push(await outbound.call(secretly).catch((thrown: unknown) => thrown));
  expect(failures.map((failure) => failure instanceof KeysteadError && failure.code)).toEqual([
    "outbound_unreachable",
    "outbound_answer_invalid",
    "outbound_unreachable",
  ]);
  const { inspect } = await import("node:util");
  expect(inspect(failures, { depth: 10, showHidden: true })).not.toContain("canary");
});

test("connections are kept, and one that the server closed meanwhile costs a GET nothing", async () => {
  await using upstream = await startUpstream();
  using outbound = createOutbound({ allow: allowing("127.0.0.1") });
  expect(await codeOf(outbound, get(upstream.url))).toBe("200 ok");
  expect(await codeOf(outbound, get(upstream.url))).toBe("200 ok");
  expect(upstream.connections).toBe(1);
  upstream.script((_response, _call, socket) => socket.resetAndDestroy(), text("again"));
  expect(await codeOf(outbound, get(upstream.url))).toBe("200 again");
  expect(upstream.connections).toBe(2);
  expect(await codeOf(outbound, get(upstream.url))).toBe("200 again");
  upstream.script((_response, _call, socket) => socket.resetAndDestroy(), text("again"));
  const post = get(upstream.url, { method: "POST", body: Buffer.from("once") });
  expect(await codeOf(outbound, post), "it may have been done").toBe("outbound_unreachable");
});

test("a caller who gives up breaks off the call, and the answer too", async () => {
  await using upstream = await startUpstream();
  using outbound = createOutbound({ allow: allowing("127.0.0.1") });
  const reason = new Error("nobody waits any more");
  const early = new AbortController();
  upstream.script(() => early.abort(reason));
  await expect(outbound.call(get(upstream.url, { signal: early.signal }))).rejects.toBe(reason);
  const later = new AbortController();
  upstream.script((response) => void response.writeHead(200).write("half"));
  const { body } = await outbound.call(get(upstream.url, { signal: later.signal }));
  later.abort(reason);
  await expect(readText(body)).rejects.toBe(reason);
});
