import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { expect, inject, test } from "vitest";
import { startFaultProxy } from "../../test/support/fault-proxy.ts";
import type { Reaction } from "../../test/support/fault-server.ts";
import { bookmark, frame, page, startFaultServer } from "../../test/support/fault-server.ts";
import { createNamespace } from "../../test/support/servers.ts";
import { createKubeClient } from "./client.ts";
import { loadIdentity } from "./identity.ts";
import type { KubeObject } from "./object.ts";
import type { Reflector } from "./reflector.ts";
import { startReflector } from "./reflector.ts";
import { resourcePath, SECRET } from "./resource-path.ts";

setFlagsFromString("--expose-gc");
const collectGarbage: () => void = runInNewContext("gc");

const SECRETS = 20_000;

/** Bytes in use once everything that can go has gone. */
async function heapInUse(): Promise<number> {
  for (let times = 0; times < 3; times += 1) {
    collectGarbage();
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  return process.memoryUsage().heapUsed;
}

/** A Secret as the API server describes it without its payload: about 1 KiB, most of it bookkeeping. */
function secret(index: number, more: object = {}) {
  return {
    apiVersion: "meta.k8s.io/v1",
    kind: "PartialObjectMetadata",
    metadata: {
      name: `secret-of-somebody-else-${index}`,
      namespace: "elsewhere",
      uid: `00000000-0000-4000-8000-${String(index).padStart(12, "0")}`,
      resourceVersion: String(1_000 + index),
      creationTimestamp: "2026-11-24T00:00:00Z",
      annotations: { description: `what secret ${index} is for, in ${"some ".repeat(40)}words` },
      managedFields: [{ manager: "kubectl", operation: "Update", fieldsV1: { "f:data": { ".": {}, "f:a": {} } } }],
    },
    ...more,
  };
}

/** All Secrets, page by page. */
function pages(count: number, more: object = {}): Reaction {
  return (response, request) => {
    const from = Number(request.query.get("continue") ?? 0);
    const to = Math.min(count, from + Number(request.query.get("limit")));
    const items = Array.from({ length: to - from }, (_, index) => secret(from + index, more));
    return page(items, "90000", to < count ? String(to) : "")(response, request);
  };
}

/** The same as a streaming list. */
const streamed: Reaction = async (response) => {
  response.writeHead(200, { "content-type": "application/json" });
  for (let index = 0; index < SECRETS; index += 1) {
    if (!response.write(frame("ADDED", secret(index)))) await new Promise((resolve) => response.once("drain", resolve));
  }
  response.write(bookmark("90000", { "k8s.io/initial-events-end": "true" }));
};

const openWatch: Reaction = (response) => response.writeHead(200).flushHeaders();

test.each([
  { how: "in pages", initialState: "list" as const, count: SECRETS, payload: {} },
  { how: "as a stream", initialState: "watch-list" as const, count: SECRETS, payload: {} },
  {
    how: "in pages, from a server that sends payloads of 32 KiB unasked",
    initialState: "list" as const,
    count: 2_000,
    payload: { data: { payload: "x".repeat(43_700) } },
  },
])(
  "bad case 30: $count unrelated Secrets $how leave the memory where it was",
  async ({ initialState, count, payload }) => {
    await using server = await startFaultServer();
    await using client = createKubeClient(server.identity);
    server.otherwise("list", pages(count, payload));
    server.script("watch", initialState === "list" ? openWatch : streamed);
    const seen = { count: 0 };
    const before = await heapInUse();
    await using reflector = startReflector<true>({
      client,
      kind: SECRET,
      metadataOnly: true,
      initialState,
      keep: () => {
        seen.count += 1;
        return undefined;
      },
      handler: { changed: () => undefined, deleted: () => undefined },
    });
    await reflector.synced;
    expect(seen.count).toBe(count);
    expect(reflector.size).toBe(0);
    expect((await heapInUse()) - before).toBeLessThan(3 * 1024 * 1024);
  },
);

test("bad case 30: what is kept of an object does not hold on to the page it came in", async () => {
  await using server = await startFaultServer();
  await using client = createKubeClient(server.identity);
  server.otherwise("list", pages(2_000, { data: { payload: "x".repeat(20_000) } }));
  server.otherwise("watch", openWatch);
  const before = await heapInUse();
  await using reflector: Reflector<string> = startReflector({
    client,
    kind: SECRET,
    // A part of a text of the object: the least that could hold the whole.
    keep: (object: KubeObject) => object.metadata.annotations?.["description"]?.slice(0, 30),
    handler: { changed: () => undefined, deleted: () => undefined },
  });
  await reflector.synced;
  expect(reflector.size).toBe(2_000);
  // 40 MB of pages went by. Kept are 2,000 keys, versions, uids and descriptions.
  expect((await heapInUse()) - before).toBeLessThan(3 * 1024 * 1024);
});

test("bad case 30: payloads of Secrets do not even cross the wire, on the real API server", async () => {
  const namespace = await createNamespace("memory");
  const identity = await loadIdentity({ kubeconfig: inject("controlPlane").kubeconfig, env: {} });
  await using direct = createKubeClient(identity);
  const path = resourcePath(SECRET, { namespace: namespace.name });
  const data = { payload: Buffer.alloc(32 * 1024, "x").toString("base64") };
  const names = Array.from({ length: 60 }, (_, index) => `secret-${index}`);
  await Promise.all(names.map((name) => direct.request({ method: "POST", path, body: { metadata: { name }, data } })));

  await using proxy = await startFaultProxy(identity);
  await using client = createKubeClient(proxy.identity);
  await using reflector = startReflector({
    client,
    kind: SECRET,
    namespace: namespace.name,
    metadataOnly: true,
    keep: (object) => object.metadata.resourceVersion,
    handler: { changed: () => undefined, deleted: () => undefined },
  });
  await reflector.synced;
  expect(reflector.size).toBe(60);
  // With their payloads they would be 2.6 MB.
  expect(proxy.received).toBeLessThan(200_000);
});
