import { connect } from "node:net";
import { expect, test } from "vitest";
import { startHealthServer, type HealthServerOptions } from "./health-server.ts";
import { createRegistry } from "./registry.ts";

const passes = () => ({ ok: true }) as const;

async function started(options: Partial<HealthServerOptions> = {}) {
  const registry = createRegistry({ version: "1.2.3" });
  const server = await startHealthServer({
    port: 0,
    host: "127.0.0.1",
    livez: passes,
    readyz: passes,
    registry,
    ...options,
  });
  return { server, url: `http://127.0.0.1:${server.port}`, [Symbol.asyncDispose]: () => server[Symbol.asyncDispose]() };
}

test("a probe that passes answers 200 with `ok`, one that fails 503 with the reason", async () => {
  await using health = await started({ readyz: () => ({ ok: false, reason: "the database is away" }) });
  const [live, ready] = await Promise.all([fetch(`${health.url}/livez`), fetch(`${health.url}/readyz?verbose`)]);
  expect([live.status, await live.text()]).toEqual([200, "ok\n"]);
  expect([ready.status, await ready.text()]).toEqual([503, "not ok: the database is away\n"]);
});

test("a probe is asked anew for each request", async () => {
  let ready = false;
  await using health = await started({ readyz: () => (ready ? { ok: true } : { ok: false, reason: "starting" }) });
  expect((await fetch(`${health.url}/readyz`)).status).toBe(503);
  ready = true;
  expect((await fetch(`${health.url}/readyz`)).status).toBe(200);
});

test("/metrics is in Prometheus's text format and names the version", async () => {
  await using health = await started();
  const answer = await fetch(`${health.url}/metrics`);
  expect(answer.headers.get("content-type")).toContain("text/plain; version=0.0.4");
  expect(await answer.text()).toContain('keystead_build_info{version="1.2.3"');
});

test.each([
  ["a path that is none of the three", "/", "GET", 404],
  ["a write", "/metrics", "POST", 405],
])("%s is refused", async (_case, path, method, status) => {
  await using health = await started();
  expect((await fetch(health.url + path, { method })).status).toBe(status);
});

test("bad case 38: headers of 64 KiB are answered 431 and the port goes on serving", async () => {
  await using health = await started();
  const answer = await fetch(`${health.url}/livez`, { headers: { "x-long": "x".repeat(64 * 1024) } });
  expect(answer.status).toBe(431);
  expect((await fetch(`${health.url}/livez`)).status).toBe(200);
});

test("a port that is taken is a clear error", async () => {
  await using health = await started();
  await expect(started({ port: health.server.port })).rejects.toMatchObject({
    code: "port_in_use",
    message: expect.stringContaining(String(health.server.port)),
  });
});

test("an address that this machine does not have is a clear error", async () => {
  await expect(started({ host: "203.0.113.7" })).rejects.toMatchObject({ code: "address_unavailable" });
});

test("without a host it answers on IPv4 as well", async () => {
  const registry = createRegistry({ version: "0" });
  await using server = await startHealthServer({ port: 0, livez: passes, readyz: passes, registry });
  expect((await fetch(`http://127.0.0.1:${server.port}/livez`)).status).toBe(200);
});

test("ending it ends the connections that a probe keeps open", async () => {
  const health = await started();
  const socket = connect(health.server.port, "127.0.0.1");
  const ended = new Promise((resolve) => socket.once("close", resolve));
  await new Promise((resolve) => socket.once("connect", resolve));
  socket.on("error", () => undefined);
  await health.server[Symbol.asyncDispose]();
  await ended;
  expect(socket.destroyed).toBe(true);
});
