import { expect, test } from "vitest";
import { page, startFaultServer, watch } from "../../test/support/fault-server.ts";
import { createKubeClient } from "./client.ts";
import type { KindSelection } from "./kind-source.ts";
import { createKindSource } from "./kind-source.ts";
import { LEASE, SECRET } from "./resource-path.ts";

/** What a source with this selection asks for: a list, a watch and a streaming list. */
async function askedWith(selection: KindSelection) {
  await using server = await startFaultServer();
  await using client = createKubeClient(server.identity);
  server.otherwise("list", page([], "1"));
  server.otherwise("watch", watch([], "end"));
  const source = createKindSource(client, selection);
  const { signal } = new AbortController();
  await source.list({ page: () => undefined, restart: () => undefined }, signal);
  (await source.watch("7", 400, signal)).destroy();
  (await source.watchList(500, signal)).destroy();
  return server.requests.map(({ path, query, headers }) => ({
    path,
    accept: headers.accept?.split(",")[0],
    query: Object.fromEntries(query),
  }));
}

test("lists and watches ask for the same objects in the same form", async () => {
  const asked = await askedWith({ kind: LEASE, namespace: "a", query: { labelSelector: "b=c" } });
  const path = "/apis/coordination.k8s.io/v1/namespaces/a/leases";
  const common = { labelSelector: "b=c", watch: "true", allowWatchBookmarks: "true" };
  const initial = { sendInitialEvents: "true", resourceVersionMatch: "NotOlderThan" };
  expect(asked).toEqual([
    { path, accept: "application/json", query: { labelSelector: "b=c", limit: "500" } },
    { path, accept: "application/json", query: { ...common, timeoutSeconds: "400", resourceVersion: "7" } },
    { path, accept: "application/json", query: { ...common, ...initial, timeoutSeconds: "500" } },
  ]);
});

test("metadata alone is asked for in the form that each kind of answer has", async () => {
  const asked = await askedWith({ kind: SECRET, metadataOnly: true });
  expect(asked.map(({ path }) => path)).toEqual(Array(3).fill("/api/v1/secrets"));
  expect(asked.map(({ accept }) => accept)).toEqual([
    "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1",
    "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1",
    "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1",
  ]);
});

test("a kind is named as its definition is", async () => {
  await using server = await startFaultServer();
  await using client = createKubeClient(server.identity);
  expect(createKindSource(client, { kind: SECRET }).name).toBe("secrets");
  expect(createKindSource(client, { kind: LEASE }).name).toBe("leases.coordination.k8s.io");
});
