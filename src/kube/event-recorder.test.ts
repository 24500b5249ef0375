import { expect, inject, test } from "vitest";
import { eventually } from "../../test/support/eventually.ts";
import { json, refusal, silence, startFaultServer } from "../../test/support/fault-server.ts";
import { createNamespace, kubectl } from "../../test/support/servers.ts";
import { createKubeClient } from "./client.ts";
import type { EventNote, EventRecorderOptions } from "./event-recorder.ts";
import { createEventRecorder } from "./event-recorder.ts";
import { loadIdentity } from "./identity.ts";

const options: EventRecorderOptions = { controller: "keystead.dev/controller", instance: "pod-1" };
const note: EventNote = { type: "Warning", reason: "Refused", action: "Reconcile", note: "The Secret was refused." };

function subject(name: string, namespace = "ns") {
  return {
    apiVersion: "keystead.dev/v1alpha1",
    kind: "Connection",
    metadata: { name, namespace, uid: `uid-of-${name}` },
  };
}

async function realClient() {
  return createKubeClient(await loadIdentity({ kubeconfig: inject("controlPlane").kubeconfig, env: {} }));
}

interface ShownEvent {
  readonly note: string;
  readonly regarding: object;
  readonly series?: { readonly count: number };
}

async function eventsIn(namespace: string): Promise<ShownEvent[]> {
  const shown: { items: ShownEvent[] } = JSON.parse(
    await kubectl(["get", "events.v1.events.k8s.io", "-n", namespace, "-o", "json"]),
  );
  return shown.items;
}

test("an event is there for kubectl describe, on the real API server", async () => {
  const namespace = await createNamespace("events");
  await using client = await realClient();
  await using recorder = createEventRecorder(client, options);
  recorder.record(subject("acme", namespace.name), note);
  await recorder.flush();
  expect(await eventsIn(namespace.name)).toMatchObject([
    {
      type: "Warning",
      reason: "Refused",
      action: "Reconcile",
      note: "The Secret was refused.",
      reportingController: "keystead.dev/controller",
      reportingInstance: "pod-1",
      regarding: { kind: "Connection", name: "acme", namespace: namespace.name, uid: "uid-of-acme" },
    },
  ]);
});

test("repeats become the count of one event; other notes, reasons and objects are events of their own", async () => {
  const namespace = await createNamespace("events");
  await using client = await realClient();
  {
    await using recorder = createEventRecorder(client, options);
    for (let times = 0; times < 100; times += 1) recorder.record(subject("acme", namespace.name), note);
    await recorder.flush();
    for (let times = 0; times < 50; times += 1) recorder.record(subject("acme", namespace.name), note);
    recorder.record(subject("acme", namespace.name), { ...note, note: "Something else happened." });
    recorder.record(subject("other", namespace.name), note);
  }
  const counts = (await eventsIn(namespace.name)).map((event) => event.series?.count ?? 1);
  expect(counts.toSorted((one, other) => one - other)).toEqual([1, 1, 150]);
});

test("a long note is cut at the server's limit in bytes, not within a character", async () => {
  const namespace = await createNamespace("events");
  await using client = await realClient();
  await using recorder = createEventRecorder(client, options);
  recorder.record(subject("acme", namespace.name), { ...note, note: `a${"ü".repeat(2_000)}` });
  await recorder.flush();
  expect((await eventsIn(namespace.name)).map((event) => event.note)).toEqual([`a${"ü".repeat(511)}`]);
});

test("after ten quiet minutes a repeat is a new event", async () => {
  await using server = await startFaultServer();
  await using client = createKubeClient(server.identity);
  server.otherwise("call", json(201, {}));
  let now = Date.UTC(2026, 10, 24);
  await using recorder = createEventRecorder(client, { ...options, now: () => now });
  for (const pauseMs of [0, 9 * 60_000, 11 * 60_000]) {
    now += pauseMs;
    recorder.record(subject("acme"), note);
    await recorder.flush();
  }
  expect(server.requests.map((request) => request.method)).toEqual(["POST", "PATCH", "POST"]);
  expect(JSON.parse(server.requests[1]?.body ?? "")).toEqual({
    series: { count: 2, lastObservedTime: "2026-11-24T00:09:00.000000Z" },
  });
});

test("an event that the server has forgotten meanwhile is made again with its count", async () => {
  await using server = await startFaultServer();
  await using client = createKubeClient(server.identity);
  let now = 0;
  await using recorder = createEventRecorder(client, { ...options, now: () => now });
  server.script("call", json(201, {}), refusal(404, "NotFound"), json(201, {}));
  recorder.record(subject("acme"), note);
  await recorder.flush();
  now += 60_000;
  recorder.record(subject("acme"), note);
  await recorder.flush();
  expect(server.requests.map((request) => request.method)).toEqual(["POST", "PATCH", "POST"]);
  expect(JSON.parse(server.requests[2]?.body ?? "")).toMatchObject({ series: { count: 2 } });
});

test("bad case 24: an API server that refuses or ignores events costs events, and nothing else", async () => {
  await using server = await startFaultServer();
  await using client = createKubeClient(server.identity);
  const outcomes: string[] = [];
  const lines: string[] = [];
  const say = (_fields: object, line: string): void => void lines.push(line);
  const cutOff = new AbortController();
  const recorder = createEventRecorder(client, {
    ...options,
    cutOff: cutOff.signal,
    metrics: { recorded: (outcome) => void outcomes.push(outcome) },
    log: { info: say, warn: say, error: say },
  });
  server.script("call", refusal(403, "Forbidden"));
  recorder.record(subject("acme"), note);
  await recorder.flush();
  expect({ outcomes, lines }).toEqual({ outcomes: ["lost"], lines: ["An event was lost"] });

  server.otherwise("call", silence());
  for (let index = 0; index < 3_000; index += 1) recorder.record(subject(`object-${index}`), note);
  await eventually(() => expect(server.requests).toHaveLength(2));
  // What waits is bounded: the oldest are given up for the newest.
  expect(outcomes.length).toBeGreaterThanOrEqual(1_999);
  const disposed = recorder[Symbol.asyncDispose]();
  cutOff.abort();
  await disposed;
  recorder.record(subject("too-late"), note);
  expect(server.requests.length).toBeLessThan(5);
});

test("bad case 26: in a namespace that goes away an event is lost without a word", async () => {
  await using server = await startFaultServer();
  await using client = createKubeClient(server.identity);
  const lines: string[] = [];
  const say = (_fields: object, line: string): void => void lines.push(line);
  await using recorder = createEventRecorder(client, { ...options, log: { info: say, warn: say, error: say } });
  server.script("call", refusal(403, "Forbidden", { details: { causes: [{ reason: "NamespaceTerminating" }] } }));
  server.script("call", refusal(404, "NotFound"));
  recorder.record(subject("a"), note);
  recorder.record(subject("b"), note);
  await recorder.flush();
  expect(lines).toEqual([]);
  expect(server.requests).toHaveLength(2);
});
