import { randomBytes } from "node:crypto";
import { mkdtempDisposable, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { inspect } from "node:util";
import { expect, inject, test } from "vitest";
import { eventually } from "../../test/support/eventually.ts";
import {
  json,
  late,
  refusal,
  reset,
  silence,
  startFaultServer,
  truncatedAnswer,
  watch,
} from "../../test/support/fault-server.ts";
import { createNamespace } from "../../test/support/servers.ts";
import { apiErrorDetails } from "./api-error.ts";
import type { KubeCall } from "./client.ts";
import { createKubeClient } from "./client.ts";
import { loadIdentity } from "./identity.ts";
import type { KubeSecret } from "./object.ts";
import { resourcePath, SECRET } from "./resource-path.ts";
import { tokenFile } from "./token-file.ts";

const get: KubeCall = { method: "GET", path: "/api/v1/namespaces/ns/secrets/one" };
const post: KubeCall = { method: "POST", path: "/api/v1/namespaces/ns/secrets", body: { a: 1 } };
const ok = json(200, { fine: true });

async function realClient() {
  return createKubeClient(await loadIdentity({ kubeconfig: inject("controlPlane").kubeconfig, env: {} }));
}

test("a Secret is created, read, patched and deleted on the real API server", async () => {
  const namespace = await createNamespace("client");
  await using client = await realClient();
  const path = resourcePath(SECRET, { namespace: namespace.name, name: "one" });
  await client.request({
    method: "POST",
    path: resourcePath(SECRET, { namespace: namespace.name }),
    body: { metadata: { name: "one" }, stringData: { key: "grün" } },
  });
  const made = await client.request<KubeSecret>({ method: "GET", path });
  expect(Buffer.from(made.data?.["key"] ?? "", "base64").toString("utf8")).toBe("grün");

  const patched = await client.request<KubeSecret>({
    method: "PATCH",
    path,
    contentType: "application/merge-patch+json",
    body: { data: { key: null } },
  });
  expect(patched.data).toBeUndefined();
  expect(await client.request({ method: "DELETE", path, discardAnswer: true })).toBeUndefined();
  await expect(client.request({ method: "GET", path })).rejects.toMatchObject({
    code: "kube_not_found",
    details: { status: 404, reason: "NotFound" },
  });
});

test("many more calls than connections all get their answers, in both kinds of order", async () => {
  const namespace = await createNamespace("client");
  await using client = await realClient();
  const path = resourcePath(SECRET, { namespace: namespace.name });
  const names = Array.from({ length: 150 }, (_, index) => `secret-${index}`);
  await Promise.all(names.map((name) => client.request({ method: "POST", path, body: { metadata: { name } } })));
  const read = await Promise.all(
    names.map((name) => client.request<KubeSecret>({ method: "GET", path: `${path}/${name}` })),
  );
  expect(read.map((secret) => secret.metadata.name)).toEqual(names);
  expect(client.waiting()).toBe(0);
});

test.each([
  { why: "reset before the answer", first: reset() },
  { why: "server error", first: refusal(500, "InternalError") },
  { why: "service unavailable", first: refusal(503, "ServiceUnavailable") },
  { why: "answer that breaks off", first: truncatedAnswer('{"fine":') },
])("a GET is made again after: $why", async ({ first }) => {
  await using server = await startFaultServer();
  await using client = createKubeClient(server.identity);
  server.script("call", first, ok);
  expect(await client.request(get)).toEqual({ fine: true });
  expect(server.requests).toHaveLength(2);
});

test.each([
  { why: "reset before the answer", first: reset(), code: "kube_unreachable" },
  { why: "server error", first: refusal(500, "InternalError"), code: "kube_api_error" },
])("a POST is not made again, since it may have taken effect, after: $why", async ({ first, code }) => {
  await using server = await startFaultServer();
  await using client = createKubeClient(server.identity);
  server.script("call", first, ok);
  await expect(client.request(post)).rejects.toMatchObject({ code });
  expect(server.requests).toHaveLength(1);
});

test("a patch that says it may be repeated is made again after a reset", async () => {
  await using server = await startFaultServer();
  await using client = createKubeClient(server.identity);
  server.script("call", reset(), ok);
  await client.request({ ...get, method: "PATCH", body: [], idempotent: true });
  expect(server.requests.map((request) => request.body)).toEqual(["[]", "[]"]);
});

test.each([
  { why: "the header", first: refusal(429, "TooManyRequests", {}, { "retry-after": "1" }) },
  { why: "the body", first: refusal(429, "TooManyRequests", { details: { retryAfterSeconds: 1 } }) },
])("a throttled call waits as long as $why says, whatever its method", async ({ first }) => {
  await using server = await startFaultServer();
  await using client = createKubeClient(server.identity);
  server.script("call", first, ok);
  const startedAt = performance.now();
  expect(await client.request(post)).toEqual({ fine: true });
  expect(performance.now() - startedAt).toBeGreaterThanOrEqual(1_000);
});

test("a fresh CRD's 429 (storage is initializing) is waited out", async () => {
  await using server = await startFaultServer();
  await using client = createKubeClient(server.identity);
  const initializing = refusal(429, "TooManyRequests", { message: "storage is (re)initializing" });
  server.script("call", initializing, initializing, initializing, initializing, initializing, ok);
  expect(await client.request(get)).toEqual({ fine: true });
});

test.each([
  { status: 403, reason: "Forbidden", code: "kube_forbidden" },
  { status: 404, reason: "NotFound", code: "kube_not_found" },
  { status: 409, reason: "Conflict", code: "kube_conflict" },
  { status: 409, reason: "AlreadyExists", code: "kube_already_exists" },
  { status: 410, reason: "Expired", code: "kube_expired" },
  { status: 422, reason: "Invalid", code: "kube_invalid" },
])("$status $reason is an answer, not a failure to repeat", async ({ status, reason, code }) => {
  await using server = await startFaultServer();
  await using client = createKubeClient(server.identity);
  server.otherwise("call", refusal(status, reason));
  await expect(client.request(get)).rejects.toMatchObject({ code, details: { status, reason } });
  expect(server.requests).toHaveLength(1);
});

test("a server that never answers costs a call its deadline and nobody else anything", async () => {
  await using server = await startFaultServer();
  await using client = createKubeClient(server.identity);
  server.script("call", silence());
  server.otherwise("call", ok);
  const stuck = client.request({ ...post, timeoutMs: 300 });
  expect(await client.request(get)).toEqual({ fine: true });
  await expect(stuck).rejects.toMatchObject({ code: "kube_timeout" });
});

test("a connection that went silent is given up before the deadline, and the call is made on another", async () => {
  await using server = await startFaultServer();
  await using client = createKubeClient(server.identity, { silenceMs: 100 });
  server.script("call", silence(), ok);
  expect(await client.request(get)).toEqual({ fine: true });
});

test("an aborted call ends at once, whether it waits for an answer, a retry or a connection", async () => {
  await using server = await startFaultServer();
  await using client = createKubeClient(server.identity, { maxConnections: 1 });
  server.script("call", refusal(429, "TooManyRequests", {}, { "retry-after": "20" }));
  server.otherwise("call", silence());
  const stop = new AbortController();
  const { signal } = stop;
  const calls = [
    client.request({ ...get, signal }),
    client.request({ ...get, signal }),
    client.request({ ...get, signal }),
  ];
  await eventually(() => expect(server.requests).toHaveLength(2));
  stop.abort(new Error("enough"));
  for (const outcome of await Promise.allSettled(calls)) {
    expect(outcome).toMatchObject({
      status: "rejected",
      reason: { code: "kube_call_aborted", cause: stop.signal.reason },
    });
  }
});

test("an urgent call passes all that wait for a connection", async () => {
  await using server = await startFaultServer();
  await using client = createKubeClient(server.identity, { maxConnections: 1 });
  const order: string[] = [];
  server.otherwise("call", async (response, request) => {
    order.push(request.path);
    await late(5, ok)(response, request);
  });
  const bulk = Array.from({ length: 20 }, (_, index) => client.request({ ...get, path: `/bulk-${index}` }));
  const urgent = client.request({ ...get, path: "/urgent", priority: "urgent" });
  await Promise.all([...bulk, urgent]);
  expect(order.indexOf("/urgent")).toBe(1);
});

test("behind connections that are all slow, an urgent call still gets one", async () => {
  await using server = await startFaultServer();
  await using client = createKubeClient(server.identity, { maxConnections: 8 });
  server.otherwise("call", (response, request) => {
    if (request.path === "/urgent") void ok(response, request);
  });
  const stop = new AbortController();
  const bulk = Array.from({ length: 50 }, () => client.request({ ...get, signal: stop.signal }));
  expect(await client.request({ ...get, path: "/urgent", priority: "urgent" })).toEqual({ fine: true });
  stop.abort();
  await Promise.allSettled(bulk);
});

test("an answer over the limit is not read to its end", async () => {
  await using server = await startFaultServer();
  await using client = createKubeClient(server.identity);
  server.otherwise("call", json(200, { text: "x".repeat(200_000) }));
  await expect(client.request({ ...get, maxAnswerBytes: 100_000 })).rejects.toMatchObject({
    code: "kube_answer_too_large",
  });
});

test("an answer that is not JSON fails, and its text stays out of the message", async () => {
  await using server = await startFaultServer();
  await using client = createKubeClient(server.identity);
  server.otherwise("call", (response) => void response.end('{"data": "hunter2"'));
  const error = await client.request(get).catch((thrown: unknown) => thrown);
  expect(error).toMatchObject({ code: "kube_answer_invalid" });
  expect(String(error)).not.toContain("hunter2");
});

test("a token that was replaced is read again when the server refuses the old one", async () => {
  await using server = await startFaultServer();
  await using directory = await mkdtempDisposable(join(tmpdir(), "keystead-"));
  const path = `${directory.path}/token`;
  await writeFile(path, "old\n");
  await using client = createKubeClient({ ...server.identity, bearer: tokenFile(path) });
  server.otherwise("call", (response, request) =>
    (request.headers.authorization === "Bearer new" ? ok : refusal(401, "Unauthorized"))(response, request),
  );
  await expect(client.request(get)).rejects.toMatchObject({ code: "kube_unauthorized" });
  await writeFile(path, "new\n");
  expect(await client.request(post)).toEqual({ fine: true });
});

test("no token and no body is ever part of an error", async () => {
  await using server = await startFaultServer();
  await using directory = await mkdtempDisposable(join(tmpdir(), "keystead-"));
  const canary = randomBytes(16).toString("hex");
  await writeFile(`${directory.path}/token`, canary);
  await using client = createKubeClient({ ...server.identity, bearer: tokenFile(`${directory.path}/token`) });
  for (const reaction of [reset(), refusal(401, "Unauthorized"), refusal(422, "Invalid"), truncatedAnswer("{")]) {
    server.otherwise("call", reaction);
    const error = await client.request({ ...post, body: { canary } }).catch((thrown: unknown) => thrown);
    expect(apiErrorDetails(error) ?? error).toBeDefined();
    expect(JSON.stringify(error) + inspect(error, { depth: 10 })).not.toContain(canary);
  }
});

test("requests carry the user agent, the query and a stated length", async () => {
  await using server = await startFaultServer();
  await using client = createKubeClient(server.identity, { userAgent: "keystead/1.2.3" });
  server.otherwise("call", ok);
  await client.request({ ...post, query: { fieldManager: "a b&c" }, body: { text: "ü" } });
  const [request] = server.requests;
  expect(request?.headers).toMatchObject({ "user-agent": "keystead/1.2.3", "content-length": "13" });
  expect(request?.query.get("fieldManager")).toBe("a b&c");
  expect(request?.body).toBe('{"text":"ü"}');
});

test("a watch that is refused gives the server's reason", async () => {
  await using server = await startFaultServer();
  await using client = createKubeClient(server.identity);
  server.script("watch", refusal(403, "Forbidden"), watch(["bytes"], "end"));
  const call: KubeCall = { ...get, query: { watch: "true" } };
  await expect(client.stream(call)).rejects.toMatchObject({ code: "kube_forbidden", details: { status: 403 } });
  const chunks: Buffer[] = [];
  for await (const chunk of await client.stream(call)) chunks.push(chunk);
  expect(Buffer.concat(chunks).toString()).toBe("bytes");
});

test("calls are counted with their outcome", async () => {
  await using server = await startFaultServer();
  const counted: string[] = [];
  await using client = createKubeClient(server.identity, {
    metrics: { attempted: (method, code) => void counted.push(`${method} ${code}`) },
  });
  server.script("call", refusal(503, "ServiceUnavailable"), reset(), ok);
  await client.request(get);
  expect(counted).toEqual(["GET 503", "GET kube_unreachable", "GET 200"]);
});

test("each opening of a watch is counted once with its outcome, however long the watch stays open", async () => {
  await using server = await startFaultServer();
  await using directory = await mkdtempDisposable(join(tmpdir(), "keystead-"));
  await writeFile(`${directory.path}/token`, "token");
  const bearer = tokenFile(`${directory.path}/token`);
  const counted: string[] = [];
  await using client = createKubeClient(
    { ...server.identity, bearer },
    { metrics: { attempted: (method, code) => void counted.push(`${method} ${code}`) } },
  );
  const reactions = [refusal(401, "Unauthorized"), watch(["bytes"]), refusal(429, "TooManyRequests"), reset()];
  server.script("watch", ...reactions);
  const call: KubeCall = { ...get, query: { watch: "true" } };
  const open = await client.stream(call);
  expect(counted).toEqual(["GET 401", "GET 200"]);
  open.destroy();
  await expect(client.stream(call)).rejects.toMatchObject({ code: "kube_throttled" });
  await expect(client.stream(call)).rejects.toMatchObject({ code: "kube_unreachable" });
  expect(counted.slice(2)).toEqual(["GET 429", "GET kube_unreachable"]);
});
