import { beforeAll, expect, inject, test } from "vitest";
import { late, refusal, startFaultServer } from "../../test/support/fault-server.ts";
import { createNamespace } from "../../test/support/servers.ts";
import { installWidgets, makeWidget, readWidget, WIDGET } from "../../test/support/widgets.ts";
import { createKubeClient } from "./client.ts";
import { loadIdentity } from "./identity.ts";
import { patchStatus, statusSteps } from "./status.ts";

beforeAll(() => installWidgets());

async function realClient() {
  return createKubeClient(await loadIdentity({ kubeconfig: inject("controlPlane").kubeconfig, env: {} }));
}

test.each([
  { why: "first status", before: undefined, after: { a: 1 }, steps: [{ op: "add", path: "/status", value: { a: 1 } }] },
  { why: "nothing differs", before: { a: [1, { b: 2 }] }, after: { a: [1, { b: 2 }] }, steps: [] },
  { why: "undefined is absent", before: { a: 1, b: undefined }, after: { a: 1, c: undefined }, steps: [] },
  {
    why: "changed",
    before: { a: 1, b: 2 },
    after: { a: 1, b: 3 },
    steps: [{ op: "add", path: "/status/b", value: 3 }],
  },
  {
    why: "new",
    before: { a: 1 },
    after: { a: 1, b: { c: 1 } },
    steps: [{ op: "add", path: "/status/b", value: { c: 1 } }],
  },
  { why: "gone", before: { a: 1, b: 2 }, after: { a: 1 }, steps: [{ op: "remove", path: "/status/b" }] },
  {
    why: "names that a pointer must escape",
    before: { "a/~": 1 },
    after: {},
    steps: [{ op: "remove", path: "/status/a~1~0" }],
  },
])("only what differs is written: $why", ({ before, after, steps }) => {
  expect(statusSteps(before, after)).toEqual(steps);
});

test("a status is written, changed and emptied on the real API server", async () => {
  const namespace = await createNamespace("status");
  await using client = await realClient();
  const widget = await makeWidget(client, namespace.name);
  const [first, second] = [
    { phase: "new", conditions: [{ type: "Ready" }] },
    { conditions: [{ type: "Ready" }], more: 1 },
  ];
  expect(await patchStatus(client, WIDGET, widget, undefined, first)).toBe("patched");
  expect((await readWidget(client, widget)).status).toEqual(first);
  expect(await patchStatus(client, WIDGET, widget, first, second)).toBe("patched");
  expect((await readWidget(client, widget)).status).toEqual(second);
});

test("bad case 31: an equal status makes no call at all", async () => {
  await using server = await startFaultServer();
  await using client = createKubeClient(server.identity);
  const widget = { metadata: { name: "a", namespace: "ns", uid: "u" } };
  expect(await patchStatus(client, WIDGET, widget, { a: { b: [1] } }, { a: { b: [1] } })).toBe("unchanged");
  expect(server.requests).toEqual([]);
});

test("an object re-created under the same name does not inherit the status of its predecessor", async () => {
  const namespace = await createNamespace("status");
  await using client = await realClient();
  const old = await makeWidget(client, namespace.name);
  await client.request({ method: "DELETE", path: old.path });
  expect(await patchStatus(client, WIDGET, old, undefined, { phase: "Ready" })).toBe("gone");
  const heir = await makeWidget(client, namespace.name);
  expect(await patchStatus(client, WIDGET, old, undefined, { phase: "Ready" })).toBe("gone");
  expect((await readWidget(client, heir)).status).toBeUndefined();
});

test("a status that the schema refuses is an error of its own, not an object that is gone", async () => {
  const namespace = await createNamespace("status");
  await using client = await realClient();
  const widget = await makeWidget(client, namespace.name);
  await expect(patchStatus(client, WIDGET, widget, undefined, { phase: 1 })).rejects.toMatchObject({
    code: "kube_invalid",
  });
});

test("bad case 24: an API server that is slow and then refuses writes fails the write, not the process", async () => {
  await using server = await startFaultServer();
  await using client = createKubeClient(server.identity);
  server.otherwise("call", late(20, refusal(403, "Forbidden")));
  const widget = { metadata: { name: "a", namespace: "ns", uid: "u" } };
  await expect(patchStatus(client, WIDGET, widget, undefined, { a: 1 })).rejects.toMatchObject({
    code: "kube_forbidden",
  });
});
