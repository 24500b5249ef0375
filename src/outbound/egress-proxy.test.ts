import { text as readText } from "node:stream/consumers";
import { expect, test } from "vitest";
import { startConnectProxy } from "../../test/support/connect-proxy.ts";
import { allowing, get } from "../../test/support/outbound.ts";
import { selfSigned } from "../../test/support/self-signed.ts";
import { startUpstream } from "../../test/support/upstream.ts";
import { Secret } from "../crypto/secret.ts";
import { parseNoProxy } from "./no-proxy.ts";
import { createOutbound } from "./outbound.ts";

/** A provider under a name that only our resolver knows, an egress proxy, and a way out through it. */
async function arrange(options: { addresses?: string[]; noProxy?: string[]; user?: string } = {}) {
  const { addresses = ["127.0.0.1"], noProxy = [], user = "" } = options;
  const stack = new AsyncDisposableStack();
  const certificate = await selfSigned("provider.example");
  const upstream = stack.use(await startUpstream({ tls: certificate }));
  const proxy = stack.use(await startConnectProxy());
  const outbound = stack.use(
    createOutbound({
      allow: allowing("127.0.0.0/8"),
      resolve: async () => addresses,
      ca: [certificate.cert],
      proxy: { url: new Secret(`http://${user}127.0.0.1:${proxy.port}`), noProxy: parseNoProxy(noProxy) },
    }),
  );
  const url = `https://provider.example:${upstream.port}/`;
  return { upstream, proxy, outbound, url, [Symbol.asyncDispose]: () => stack.disposeAsync() };
}

test("the proxy is asked for a tunnel to the address that was checked, and never hears the name", async () => {
  await using way = await arrange({ user: "keystead:p%40ss@" });
  const { body } = await way.outbound.call(get(way.url));
  expect(await readText(body)).toBe("ok");
  const authorization = `Basic ${Buffer.from("keystead:p@ss").toString("base64")}`;
  expect(way.proxy.tunnels).toEqual([{ authority: `127.0.0.1:${way.upstream.port}`, authorization }]);
  expect(way.upstream.calls[0]?.headers.host).toBe(`provider.example:${way.upstream.port}`);
  expect(way.upstream.calls[0]?.headers).not.toHaveProperty("proxy-authorization");
});

test("what the policy forbids is not asked of the proxy either", async () => {
  await using way = await arrange({ addresses: ["127.0.0.1", "10.0.0.1"] });
  await expect(way.outbound.call(get(way.url))).rejects.toMatchObject({ code: "outbound_refused" });
  expect(way.proxy.tunnels).toEqual([]);
});

test("when the first address cannot be reached, a tunnel to the next is asked for", async () => {
  await using way = await arrange({ addresses: ["127.0.0.9", "127.0.0.1"] });
  const { body } = await way.outbound.call(get(way.url));
  expect(await readText(body)).toBe("ok");
  expect(way.proxy.tunnels.map(({ authority }) => authority.split(":")[0])).toEqual(["127.0.0.9", "127.0.0.1"]);
});

test("what NO_PROXY names is called directly, and plain http always is", async () => {
  await using way = await arrange({ noProxy: ["provider.example"] });
  const { body } = await way.outbound.call(get(way.url));
  expect(await readText(body)).toBe("ok");
  await using plain = await startUpstream();
  const { status, body: plainBody } = await way.outbound.call(get(plain.url));
  expect([status, await readText(plainBody)]).toEqual([200, "ok"]);
  expect(way.proxy.tunnels).toEqual([]);
});

test("a proxy that refuses or is away is told apart from the provider, without its password", async () => {
  await using way = await arrange({ user: "keystead:canary@" });
  way.proxy.refuse(403);
  const refused = await way.outbound.call(get(way.url)).catch((thrown: unknown) => thrown);
  expect(refused).toMatchObject({
    code: "outbound_unreachable",
    message: "The egress proxy refused with status 403.",
  });
  await way.proxy[Symbol.asyncDispose]();
  const away = await way.outbound.call(get(way.url)).catch((thrown: unknown) => thrown);
  expect(away).toMatchObject({
    code: "outbound_unreachable",
    message: "The egress proxy cannot be reached (ECONNREFUSED).",
  });
  expect(JSON.stringify([refused, away])).not.toContain("canary");
});
