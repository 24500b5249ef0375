import { getEventListeners } from "node:events";
import { createServer } from "node:http";
import type { Socket } from "node:net";
import { expect, test } from "vitest";
import { eventually } from "../../test/support/eventually.ts";
import { listenOnLoopback } from "../../test/support/fault-server.ts";
import type { WireCall } from "./exchange.ts";
import type { Transport } from "./transport.ts";
import { createTransport } from "./transport.ts";

function call(path: string, more: Partial<WireCall> = {}): WireCall {
  return {
    method: "GET",
    path,
    headers: {},
    deadlineAt: performance.now() + 30_000,
    silenceMs: 10_000,
    maxAnswerBytes: 1_000_000,
    discardAnswer: false,
    ...more,
  };
}

/** A server that answers `/slow` never and everything else at once, and a transport to it with two connections. */
async function pair() {
  const sockets = new Set<Socket>();
  const server = createServer((request, response) => {
    if (request.url === "/trickle") trickle();
    else if (request.url === "/stream") response.write("head");
    else if (request.url !== "/slow") response.end("fine");
    function trickle(): void {
      response.write("x");
      const timer = setInterval(() => response.write("x"), 10);
      response.on("close", () => clearInterval(timer));
    }
  });
  server.on("connection", (socket) => {
    sockets.add(socket);
    socket.on("close", () => sockets.delete(socket));
  });
  const port = await listenOnLoopback(server);
  const address = { protocol: "http:" as const, host: "127.0.0.1", port, basePath: "", tls: { skipVerify: false } };
  const transport: Transport = createTransport(address, 2);
  return {
    transport,
    connections: () => sockets.size,
    async [Symbol.asyncDispose]() {
      transport.close();
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

test("calls share kept connections, each stream has one of its own", async () => {
  await using both = await pair();
  for (let round = 0; round < 20; round += 1) await both.transport.send(call("/fast"));
  expect(both.connections()).toBe(1);
  await Promise.all(Array.from({ length: 10 }, () => both.transport.send(call("/fast"))));
  expect(both.connections()).toBe(2);
  const streams = await Promise.all([1, 2, 3].map(() => both.transport.open(call("/stream"))));
  expect(both.connections()).toBe(5);
  expect((await both.transport.send(call("/fast"))).body).toBe("fine");
  for (const stream of streams) stream.destroy();
  await eventually(() => expect(both.connections()).toBe(2));
});

test("a discarded answer leaves its connection to the next call", async () => {
  await using both = await pair();
  for (let round = 0; round < 5; round += 1) {
    expect((await both.transport.send(call("/fast", { discardAnswer: true }))).body).toBe("");
  }
  expect(both.connections()).toBe(1);
});

test("a thousand calls under one signal leave no listener and no timer behind", async () => {
  await using both = await pair();
  const { signal } = new AbortController();
  const timersBefore = timers();
  for (let round = 0; round < 100; round += 1) {
    await Promise.all(Array.from({ length: 10 }, () => both.transport.send(call("/fast", { signal }))));
  }
  expect(getEventListeners(signal, "abort")).toEqual([]);
  expect(timers() - timersBefore).toBeLessThan(5);
});

function timers(): number {
  return process.getActiveResourcesInfo().filter((resource) => resource === "Timeout").length;
}

test("a call that is given up takes its connection down, so that a late answer reaches nobody else", async () => {
  await using both = await pair();
  const stop = new AbortController();
  const given = both.transport.send(call("/slow", { signal: stop.signal }));
  await eventually(() => expect(both.connections()).toBe(1));
  stop.abort();
  await expect(given).rejects.toMatchObject({ code: "kube_call_aborted" });
  await eventually(() => expect(both.connections()).toBe(0));
  expect((await both.transport.send(call("/fast"))).body).toBe("fine");
});

test("an answer that trickles in keeps a call alive against silence, but not past its deadline", async () => {
  await using both = await pair();
  const trickling = call("/trickle", { silenceMs: 100, deadlineAt: performance.now() + 400 });
  await expect(both.transport.send(trickling)).rejects.toMatchObject({ code: "kube_timeout" });
  expect(performance.now()).toBeGreaterThanOrEqual(trickling.deadlineAt);
});

test("a transport that is closed breaks what is under way and refuses what comes later", async () => {
  await using both = await pair();
  const under = both.transport.send(call("/slow"));
  await eventually(() => expect(both.connections()).toBe(1));
  both.transport.close();
  await expect(under).rejects.toMatchObject({ code: "kube_unreachable" });
  await expect(both.transport.send(call("/fast"))).rejects.toMatchObject({ code: "kube_call_aborted" });
  await expect(both.transport.open(call("/stream"))).rejects.toMatchObject({ code: "kube_call_aborted" });
});

test("where nobody listens, the error names the network's reason", async () => {
  const server = createServer();
  const port = await listenOnLoopback(server);
  await new Promise((resolve) => server.close(resolve));
  const nobody = createTransport(
    { protocol: "http:", host: "127.0.0.1", port, basePath: "", tls: { skipVerify: false } },
    1,
  );
  await expect(nobody.send(call("/fast"))).rejects.toMatchObject({
    code: "kube_unreachable",
    message: "GET /fast did not reach the API server: ECONNREFUSED",
    details: { networkCode: "ECONNREFUSED" },
  });
  nobody.close();
});

test.each([
  { why: "a certificate", tls: { cert: "hunter2" } },
  { why: "a key", tls: { key: "hunter2" } },
])("$why that is none is an error of the identity, and is not shown", ({ tls }) => {
  const address = {
    protocol: "https:" as const,
    host: "api.example",
    port: 443,
    basePath: "",
    tls: { skipVerify: false, ...tls },
  };
  const open = () => createTransport(address, 1);
  expect(open).toThrow(expect.objectContaining({ code: "kube_identity_invalid" }));
  expect(open).not.toThrow(/hunter2/);
});
