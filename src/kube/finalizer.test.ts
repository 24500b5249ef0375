import { beforeAll, expect, inject, test } from "vitest";
import { json, object, refusal, startFaultServer } from "../../test/support/fault-server.ts";
import { createNamespace } from "../../test/support/servers.ts";
import { installWidgets, makeWidget, readWidget, WIDGET } from "../../test/support/widgets.ts";
import { createKubeClient } from "./client.ts";
import { addFinalizer, removeFinalizer } from "./finalizer.ts";
import { loadIdentity } from "./identity.ts";

const OURS = "keystead.dev/finalizer";

beforeAll(() => installWidgets());

async function realClient() {
  return createKubeClient(await loadIdentity({ kubeconfig: inject("controlPlane").kubeconfig, env: {} }));
}

test("a finalizer is put on once and taken off, and then the object goes", async () => {
  const namespace = await createNamespace("finalizer");
  await using client = await realClient();
  const widget = await makeWidget(client, namespace.name);
  expect(await addFinalizer(client, WIDGET, widget, OURS)).toBe("added");
  const guarded = await readWidget(client, widget);
  expect(guarded.metadata.finalizers).toEqual([OURS]);
  expect(await addFinalizer(client, WIDGET, guarded, OURS)).toBe("present");

  await client.request({ method: "DELETE", path: widget.path });
  const dying = await readWidget(client, widget);
  expect(dying.metadata.deletionTimestamp).toBeDefined();
  expect(await addFinalizer(client, WIDGET, dying, "keystead.dev/too-late")).toBe("gone");
  expect(await removeFinalizer(client, WIDGET, dying, OURS)).toBe("removed");
  expect(await removeFinalizer(client, WIDGET, dying, OURS)).toBe("gone");
});

test("knowledge that is out of date costs one more look: the finalizers of others stay, wherever ours stands", async () => {
  const namespace = await createNamespace("finalizer");
  await using client = await realClient();
  const stale = await makeWidget(client, namespace.name);
  for (const finalizer of ["example.com/a", "example.com/b"]) {
    expect(await addFinalizer(client, WIDGET, await readWidget(client, stale), finalizer)).toBe("added");
  }
  expect(await addFinalizer(client, WIDGET, stale, OURS)).toBe("added");
  const known = await readWidget(client, stale);
  expect(known.metadata.finalizers).toEqual(["example.com/a", "example.com/b", OURS]);
  expect(await removeFinalizer(client, WIDGET, known, "example.com/a")).toBe("removed");
  expect(await removeFinalizer(client, WIDGET, known, OURS)).toBe("removed");
  expect((await readWidget(client, stale)).metadata.finalizers).toEqual(["example.com/b"]);
  expect(await removeFinalizer(client, WIDGET, known, OURS)).toBe("absent");
  expect(await removeFinalizer(client, WIDGET, await readWidget(client, stale), "example.com/b")).toBe("removed");
});

test("any number of processes that add and remove at once end with each finalizer exactly as it should be", async () => {
  const namespace = await createNamespace("finalizer");
  await using client = await realClient();
  const widget = await makeWidget(client, namespace.name);
  const names = ["a", "b", "c", "d"].map((name) => `example.com/${name}`);
  await Promise.all([...names, ...names].map((name) => addFinalizer(client, WIDGET, widget, name)));
  const full = await readWidget(client, widget);
  expect(full.metadata.finalizers?.toSorted()).toEqual(names);
  const outcomes = await Promise.all([...names, ...names].map((name) => removeFinalizer(client, WIDGET, full, name)));
  expect(outcomes.toSorted()).toEqual([...names.map(() => "absent"), ...names.map(() => "removed")]);
  expect((await readWidget(client, widget)).metadata.finalizers).toBeUndefined();
});

test("the finalizer of an object re-created under the same name is not touched", async () => {
  const namespace = await createNamespace("finalizer");
  await using client = await realClient();
  const old = await makeWidget(client, namespace.name);
  await addFinalizer(client, WIDGET, old, OURS);
  const known = await readWidget(client, old);
  await removeFinalizer(client, WIDGET, known, OURS);
  await client.request({ method: "DELETE", path: old.path });
  const heir = await makeWidget(client, namespace.name);
  await addFinalizer(client, WIDGET, heir, OURS);
  expect(await removeFinalizer(client, WIDGET, known, OURS)).toBe("gone");
  expect(await addFinalizer(client, WIDGET, old, "example.com/other")).toBe("gone");
  expect((await readWidget(client, heir)).metadata.finalizers).toEqual([OURS]);
  await removeFinalizer(client, WIDGET, await readWidget(client, heir), OURS);
});

test.each([
  { why: "conflicts for ever", answer: refusal(409, "Conflict"), code: "kube_conflict" },
  { why: "is invalid for another reason", answer: refusal(422, "Invalid"), code: "kube_invalid" },
  { why: "may not be written", answer: refusal(403, "Forbidden"), code: "kube_forbidden" },
])("bad case 24: an object that $why ends with that error and no loop", async ({ answer, code }) => {
  await using server = await startFaultServer();
  await using client = createKubeClient(server.identity);
  const widget = object("a", "1");
  server.otherwise("call", (response, request) =>
    (request.method === "GET" ? json(200, widget) : answer)(response, request),
  );
  await expect(addFinalizer(client, WIDGET, widget, OURS)).rejects.toMatchObject({ code });
  expect(server.requests.filter((request) => request.method === "PATCH")).toHaveLength(1);
});

test("an object whose finalizers change on every look is left to the back-off", async () => {
  await using server = await startFaultServer();
  await using client = createKubeClient(server.identity);
  server.otherwise("call", (response, request) =>
    (request.method === "GET" ? json(200, moving(server.requests.length)) : refusal(422, "Invalid"))(response, request),
  );
  await expect(addFinalizer(client, WIDGET, moving(0), OURS)).rejects.toMatchObject({ code: "kube_invalid" });
  expect(server.requests.length).toBeLessThan(20);
});

/** An object whose list of finalizers is another in every version. */
function moving(version: number) {
  return { metadata: { ...object("a", String(version)).metadata, finalizers: [`f/${version}`] } };
}
