import * as fc from "fast-check";
import { expect, test } from "vitest";
import { json, refusal, reset, startFaultServer } from "../../test/support/fault-server.ts";
import { createKubeClient } from "./client.ts";
import type { EventSeries } from "./event-writer.ts";
import { countEvent, createEvent, cutToBytes } from "./event-writer.ts";

const reporter = { controller: "keystead.dev/controller", instance: `pod-${"x".repeat(200)}` };
const series: EventSeries = {
  subject: { apiVersion: "v1", kind: "Node", metadata: { name: "a", uid: "u" } },
  note: { type: "Normal", reason: "Stored", action: "Reconcile", note: "Stored." },
  name: "a.0123",
  firstAt: Date.UTC(2026, 10, 24),
  lastAt: Date.UTC(2026, 10, 24, 0, 0, 5),
  count: 1,
};

test("a text is cut to bytes without half a character, and not further than needed", () => {
  fc.assert(
    fc.property(fc.string({ unit: "grapheme" }), fc.nat(40), (text, limit) => {
      const cut = cutToBytes(text, limit);
      const bytes = Buffer.byteLength(cut);
      expect(text.startsWith(cut)).toBe(true);
      expect(bytes).toBeLessThanOrEqual(limit);
      if (cut !== text) expect(bytes).toBeGreaterThan(limit - 4);
    }),
  );
});

test("an object without a namespace has its events in default; names that are too long are cut", async () => {
  await using server = await startFaultServer();
  await using client = createKubeClient(server.identity);
  server.otherwise("call", json(201, {}));
  await createEvent(client, series, reporter, new AbortController().signal);
  const [request] = server.requests;
  expect(request?.path).toBe("/apis/events.k8s.io/v1/namespaces/default/events");
  expect(JSON.parse(request?.body ?? "")).toMatchObject({
    metadata: { name: "a.0123", namespace: "default" },
    eventTime: "2026-11-24T00:00:00.000000Z",
    reportingInstance: reporter.instance.slice(0, 128),
    regarding: { apiVersion: "v1", kind: "Node", name: "a", uid: "u" },
  });
});

test("an event whose first answer got lost is not written twice", async () => {
  await using server = await startFaultServer();
  await using client = createKubeClient(server.identity);
  server.script("call", reset(), refusal(409, "AlreadyExists"));
  await createEvent(client, series, reporter, new AbortController().signal);
  const names = server.requests.map((request) => JSON.parse(request.body).metadata.name);
  expect(names).toEqual(["a.0123", "a.0123"]);
});

test("counting tells whether the event is still there", async () => {
  await using server = await startFaultServer();
  await using client = createKubeClient(server.identity);
  server.script("call", json(200, {}), refusal(404, "NotFound"), refusal(403, "Forbidden"));
  const { signal } = new AbortController();
  expect(await countEvent(client, { ...series, count: 3 }, signal)).toBe(true);
  expect(await countEvent(client, series, signal)).toBe(false);
  await expect(countEvent(client, series, signal)).rejects.toMatchObject({ code: "kube_forbidden" });
  expect(JSON.parse(server.requests[0]?.body ?? "")).toEqual({
    series: { count: 3, lastObservedTime: "2026-11-24T00:00:05.000000Z" },
  });
});
