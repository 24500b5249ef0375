import { expect, inject, test } from "vitest";
import { eventually } from "../../test/support/eventually.ts";
import { startFaultProxy } from "../../test/support/fault-proxy.ts";
import type { FaultServer } from "../../test/support/fault-server.ts";
import {
  bookmark,
  frame,
  object,
  page,
  refusal,
  reset,
  startFaultServer,
  watch,
} from "../../test/support/fault-server.ts";
import { createNamespace, kubectl } from "../../test/support/servers.ts";
import type { KubeClient } from "./client.ts";
import { createKubeClient } from "./client.ts";
import type { Identity } from "./identity.ts";
import { loadIdentity } from "./identity.ts";
import { splitKey } from "./object.ts";
import type { ReflectorOptions } from "./reflector.ts";
import { startReflector } from "./reflector.ts";
import { resourcePath, SECRET } from "./resource-path.ts";

/** Waits short enough for a test; the order of things is that of the defaults. */
const timing = { backoffMs: 2, backoffCapMs: 20, reopenMs: 1 };

function realIdentity(): Promise<Identity> {
  return loadIdentity({ kubeconfig: inject("controlPlane").kubeconfig, env: {} });
}

/** Follows Secrets by version and writes down what the handler hears. */
function follow(client: KubeClient, more: Partial<ReflectorOptions<string>> = {}) {
  const heard: string[] = [];
  const ends: string[] = [];
  const reflector = startReflector<string>({
    client,
    kind: SECRET,
    keep: (one) => one.metadata.resourceVersion,
    handler: {
      changed: (key, now, before, initial) =>
        void heard.push(`${splitKey(key).name} ${before ?? "new"} -> ${now}${initial ? " initially" : ""}`),
      deleted: (key, last) => void heard.push(`${splitKey(key).name} gone at ${last}`),
    },
    metrics: {
      listed: () => undefined,
      received: () => undefined,
      watchEnded: (_kind, reason) => void ends.push(reason),
    },
    timing,
    ...more,
  });
  return { reflector, heard, ends };
}

function queries(server: FaultServer): string[] {
  return server.requests.map(({ ask, query }) =>
    ask === "list" ? "list" : `watch from ${query.get("resourceVersion")}`,
  );
}

test.each(["list", "watch-list"] as const)(
  "objects of the real API server are followed from the first state on: %s",
  async (initialState) => {
    const namespace = await createNamespace("reflector");
    await using client = createKubeClient(await realIdentity());
    const path = resourcePath(SECRET, { namespace: namespace.name });
    await client.request({ method: "POST", path, body: { metadata: { name: "early" }, stringData: { key: "value" } } });

    await using following = follow(client, {
      namespace: namespace.name,
      initialState,
      metadataOnly: true,
      keep: (one) => ("data" in one ? "has a payload" : (one.metadata.labels?.["step"] ?? "none")),
    }).reflector;
    await following.synced;
    expect([...following.values()]).toEqual(["none"]);
    await client.request({
      method: "PATCH",
      path: `${path}/early`,
      contentType: "application/merge-patch+json",
      body: { metadata: { labels: { step: "two" } } },
    });
    await eventually(() => expect(following.get(`${namespace.name}/early`)).toBe("two"));
    await client.request({ method: "DELETE", path: `${path}/early` });
    await eventually(() => expect(following.size).toBe(0));
  },
);

test("bad case 23: a silently dead watch is noticed and replaced, on the real API server", async () => {
  const namespace = await createNamespace("reflector");
  await using proxy = await startFaultProxy(await realIdentity());
  await using direct = createKubeClient(await realIdentity());
  await using client = createKubeClient(proxy.identity);
  const { reflector, heard, ends } = follow(client, {
    namespace: namespace.name,
    // Silence of half a second instead of a good ten minutes.
    timing: { ...timing, watchSeconds: [600, 600], graceMs: -599_500 },
  });
  await using _ = reflector;
  await reflector.synced;
  const path = resourcePath(SECRET, { namespace: namespace.name });
  await direct.request({ method: "POST", path, body: { metadata: { name: "seen" } } });
  await eventually(() => expect(heard).toHaveLength(1));
  proxy.goSilent();
  await direct.request({ method: "POST", path, body: { metadata: { name: "unseen" } } });
  await eventually(() => expect(heard[1]).toMatch(/^unseen new -> \d+$/));
  expect(ends).toContain("kube_timeout");
});

test("bad case 23: a reset connection is resumed where it was, without a list", async () => {
  const namespace = await createNamespace("reflector");
  await using proxy = await startFaultProxy(await realIdentity());
  await using client = createKubeClient(proxy.identity);
  const listed: number[] = [];
  const { reflector, heard } = follow(client, {
    namespace: namespace.name,
    metrics: {
      listed: (_kind, held) => void listed.push(held),
      received: () => undefined,
      watchEnded: () => undefined,
    },
  });
  await using _ = reflector;
  await reflector.synced;
  for (const name of ["a", "b", "c"]) {
    proxy.resetAll();
    await kubectl(["create", "secret", "generic", name, "-n", namespace.name]);
    await eventually(() => expect(heard.some((line) => line.startsWith(`${name} new`))).toBe(true));
  }
  expect(listed).toEqual([0]);
});

test("bad case 23: a watch that is closed every few milliseconds misses nothing and is not hammered", async () => {
  await using server = await startFaultServer();
  await using client = createKubeClient(server.identity);
  server.script("list", page([object("a", "1")], "1"));
  for (let version = 2; version <= 20; version += 1) {
    server.script("watch", watch([frame("MODIFIED", object("a", String(version)))], "end"));
  }
  server.otherwise("watch", watch([]));
  const { reflector, heard } = follow(client);
  await using _ = reflector;
  await eventually(() => expect(heard.at(-1)).toBe("a 19 -> 20"));
  expect(heard).toHaveLength(20);
  await eventually(() => expect(queries(server).slice(0, 3)).toEqual(["list", "watch from 1", "watch from 2"]));
  expect(server.seen("list")).toHaveLength(1);
});

test("where a server closes in good order, the next watch waits out the least time between two", async () => {
  await using server = await startFaultServer();
  await using client = createKubeClient(server.identity);
  server.otherwise("list", page([], "1"));
  server.otherwise("watch", watch([], "end"));
  const { reflector } = follow(client, { timing: { ...timing, reopenMs: 100_000 } });
  await using _ = reflector;
  await eventually(() => expect(server.seen("watch")).toHaveLength(1));
  await reflector.synced;
  expect(queries(server)).toEqual(["list", "watch from 1"]);
});

test.each([
  { why: "as an answer", expired: refusal(410, "Expired") },
  { why: "as a frame", expired: watch([frame("ERROR", { kind: "Status", code: 410, reason: "Expired" })], "end") },
])("bad case 23: 410 on resume ($why) lists again, and tells only what differs", async ({ expired }) => {
  await using server = await startFaultServer();
  await using client = createKubeClient(server.identity);
  server.script("list", page([object("same", "1"), object("changed", "2"), object("deleted", "3")], "3"));
  server.script("watch", expired);
  server.script("list", page([object("same", "1"), object("changed", "7"), object("created", "8")], "9"));
  server.script("watch", watch([frame("ADDED", object("later", "10"))]));
  const { reflector, heard } = follow(client);
  await using _ = reflector;
  await eventually(() => expect(heard).toHaveLength(7));
  expect(heard.slice(0, 3).every((line) => line.endsWith("initially"))).toBe(true);
  expect(heard.slice(3)).toEqual(["changed 2 -> 7", "created new -> 8", "deleted gone at 3", "later new -> 10"]);
  expect(queries(server)).toEqual(["list", "watch from 3", "list", "watch from 9"]);
});

test("bad case 23: 429 on the list that follows a 410 is waited out", async () => {
  await using server = await startFaultServer();
  await using client = createKubeClient(server.identity);
  server.script(
    "list",
    page([object("a", "1")], "1"),
    refusal(429, "TooManyRequests", { details: { retryAfterSeconds: 1 } }),
  );
  server.script("watch", refusal(410, "Expired"), watch([]));
  server.script("list", page([object("a", "2")], "2"));
  const { reflector, heard } = follow(client);
  await using _ = reflector;
  await eventually(() => expect(heard).toEqual(["a new -> 1 initially", "a 1 -> 2"]));
});

test("bad case 23: a truncated frame is read again from where the last whole one ended", async () => {
  await using server = await startFaultServer();
  await using client = createKubeClient(server.identity);
  const [whole, broken] = [frame("MODIFIED", object("a", "2")), frame("MODIFIED", object("a", "3"))];
  server.script("list", page([object("a", "1")], "1"));
  server.script("watch", watch([whole, broken.slice(0, 30)], "end"), watch([broken]));
  const { reflector, heard } = follow(client);
  await using _ = reflector;
  await eventually(() => expect(heard.at(-1)).toBe("a 2 -> 3"));
  expect(queries(server)).toEqual(["list", "watch from 1", "watch from 2"]);
});

test("bad case 23: a frame that is broken each time is passed by with a list", async () => {
  await using server = await startFaultServer();
  await using client = createKubeClient(server.identity);
  server.script("list", page([object("a", "1")], "1"), page([object("a", "3")], "3"));
  server.script("watch", watch(["{broken}\n"], "end"), watch(["{broken}\n"], "end"), watch([]));
  const { reflector, heard } = follow(client);
  await using _ = reflector;
  await eventually(() => expect(heard.at(-1)).toBe("a 1 -> 3"));
  expect(queries(server).slice(0, 4)).toEqual(["list", "watch from 1", "watch from 1", "list"]);
});

test("bad case 23: whatever happens to the first list, the state is there in the end", async () => {
  await using server = await startFaultServer();
  await using client = createKubeClient(server.identity);
  server.script(
    "list",
    reset(),
    refusal(500, "InternalError"),
    refusal(403, "Forbidden"),
    page([object("a", "1")], "1", "more"),
  );
  server.script("list", refusal(410, "Expired"), page([object("b", "2")], "2"));
  server.otherwise("watch", watch([]));
  const { reflector } = follow(client);
  await using _ = reflector;
  await reflector.synced;
  // What only the abandoned attempt had seen is not part of the state.
  expect([...reflector.keys()]).toEqual(["ns/b"]);
});

test("a watch resumes from the last bookmark, also when no object changed for long", async () => {
  await using server = await startFaultServer();
  await using client = createKubeClient(server.identity);
  server.script("list", page([], "1"));
  server.script("watch", watch([bookmark("500")], "end"), watch([]));
  const { reflector } = follow(client);
  await using _ = reflector;
  await eventually(() => expect(queries(server)).toEqual(["list", "watch from 1", "watch from 500"]));
});

test("other ERROR frames resume from the same version, and the watch asks for bookmarks and a limited time", async () => {
  await using server = await startFaultServer();
  await using client = createKubeClient(server.identity);
  server.script("list", page([], "7"));
  server.script("watch", watch([frame("ERROR", { kind: "Status", code: 500, reason: "InternalError" })]), watch([]));
  const { reflector, ends } = follow(client);
  await using _ = reflector;
  await eventually(() => expect(queries(server)).toEqual(["list", "watch from 7", "watch from 7"]));
  expect(ends).toEqual(["kube_api_error"]);
  for (const { query } of server.seen("watch")) {
    expect(query.get("allowWatchBookmarks")).toBe("true");
    expect(Number(query.get("timeoutSeconds"))).toBeGreaterThanOrEqual(300);
    expect(Number(query.get("timeoutSeconds"))).toBeLessThanOrEqual(600);
  }
});

test("where streaming lists are not offered, pages are read instead", async () => {
  await using server = await startFaultServer();
  await using client = createKubeClient(server.identity);
  server.script("watch", refusal(422, "Invalid"), watch([]));
  server.script("list", page([object("a", "1")], "1"));
  const { reflector } = follow(client, { initialState: "watch-list" });
  await using _ = reflector;
  await reflector.synced;
  expect(server.seen("watch")[0]?.query.get("sendInitialEvents")).toBe("true");
  expect([...reflector.keys()]).toEqual(["ns/a"]);
});

test("a streaming list that breaks off is not taken for complete", async () => {
  await using server = await startFaultServer();
  await using client = createKubeClient(server.identity);
  const end = bookmark("9", { "k8s.io/initial-events-end": "true" });
  server.script("watch", watch([frame("ADDED", object("half", "1"))], "reset"));
  server.script("watch", watch([frame("ADDED", object("whole", "2")), end, frame("ADDED", object("later", "10"))]));
  const { reflector, heard } = follow(client, { initialState: "watch-list" });
  await using _ = reflector;
  await eventually(() => expect(heard.at(-1)).toBe("later new -> 10"));
  expect(heard).toEqual(["half new -> 1 initially", "whole new -> 2 initially", "half gone at 1", "later new -> 10"]);
});

test("a kind whose definition is missing is asked for again until it is there; one line says so", async () => {
  await using server = await startFaultServer();
  await using client = createKubeClient(server.identity);
  const missing = refusal(404, "NotFound");
  server.script("list", missing, missing, missing, missing, page([], "1"));
  server.otherwise("watch", watch([]));
  const lines: string[] = [];
  const note = (_fields: object, line: string): void => void lines.push(line);
  const { reflector } = follow(client, { log: { info: note, warn: note, error: note } });
  await using _ = reflector;
  await reflector.synced;
  await eventually(() => expect(lines).toHaveLength(2));
  expect(lines[0]).toContain("is its CustomResourceDefinition installed?");
  expect(lines[1]).toBe("Watching secrets again");
});

test("health is about the loop, not about the API server", async () => {
  await using server = await startFaultServer();
  await using client = createKubeClient(server.identity);
  server.otherwise("list", refusal(500, "InternalError"));
  const { reflector } = follow(client);
  await eventually(() => expect(server.requests.length).toBeGreaterThan(5));
  expect(reflector.isSynced).toBe(false);
  expect(reflector.health(performance.now())).toEqual({ ok: true });
  await reflector[Symbol.asyncDispose]();
  expect(reflector.health(performance.now() + 60 * 60_000)).toMatchObject({
    ok: false,
    reason: expect.stringContaining("secrets"),
  });
});

test("nothing is heard after disposal, and whoever waits for the first state is told", async () => {
  await using server = await startFaultServer();
  await using client = createKubeClient(server.identity);
  server.otherwise("list", (response) => void response.writeHead(200));
  const { reflector, heard } = follow(client);
  await eventually(() => expect(server.requests).toHaveLength(1));
  await reflector[Symbol.asyncDispose]();
  await expect(reflector.synced).rejects.toMatchObject({ code: "kube_call_aborted" });
  expect(heard).toEqual([]);
});
