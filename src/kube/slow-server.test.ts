import { expect, test } from "vitest";
import { json, late, refusal, startFaultServer } from "../../test/support/fault-server.ts";
import type { KubeClient } from "./client.ts";
import { createKubeClient } from "./client.ts";
import type { ObjectKey } from "./object.ts";
import { objectKey, splitKey } from "./object.ts";
import { patchStatus } from "./status.ts";
import type { WorkQueue, WorkQueueOptions } from "./work-queue.ts";
import { createWorkQueue } from "./work-queue.ts";

const WIDGET = { group: "test.keystead.dev", version: "v1", plural: "widgets", kind: "Widget" };

/** A queue as a controller has it: every run writes the status of its object. */
function statusWriters(client: KubeClient, more: Partial<WorkQueueOptions> = {}) {
  const written: ObjectKey[] = [];
  const failed = new Map<ObjectKey, number>();
  const queue: WorkQueue = createWorkQueue({
    name: "widgets",
    concurrency: 16,
    async run(key, signal, turn) {
      const { namespace, name } = splitKey(key);
      const target = { metadata: { namespace, name, uid: `uid-of-${name}` } };
      const priority = turn.priority === "changed" ? "urgent" : "normal";
      await patchStatus(client, WIDGET, target, undefined, { done: true }, { signal, priority });
      written.push(key);
      return { kind: "done" };
    },
    failed: (key, _thrown, failures) => void failed.set(key, failures),
    backoff: { baseMs: 5, capMs: 50 },
    ...more,
  });
  return { queue, written, failed };
}

test("bad case 24: with two seconds a call, bulk work goes on and a new object does not wait behind it", async () => {
  await using server = await startFaultServer();
  await using client = createKubeClient(server.identity);
  server.otherwise("call", late(2_000, json(200, {})));
  const { queue, written } = statusWriters(client);
  await using _ = queue;
  const bulk = Array.from({ length: 28 }, (_unused, index) => objectKey("ns", `bulk-${index}`));
  for (const key of bulk) queue.add(key, "resync");
  // The bulk holds all slots it may have by now.
  await queue.whenBelow(15);
  queue.add(objectKey("ns", "new"), "changed");
  await queue.whenIdle();
  expect(new Set(written)).toEqual(new Set([...bulk, "ns/new"]));
  // Begun with the first wave, it ends before the second.
  expect(written.indexOf("ns/new")).toBeLessThan(16);
});

test("bad case 24: one object that answers 409 for ever keeps nobody else from being written", async () => {
  await using server = await startFaultServer();
  await using client = createKubeClient(server.identity);
  const cursed = { metadata: { namespace: "ns", name: "cursed", uid: "uid-of-cursed", resourceVersion: "1" } };
  server.otherwise("call", (response, request) => {
    if (!request.path.includes("/cursed")) return json(200, {})(response, request);
    return (request.method === "GET" ? json(200, cursed) : refusal(409, "Conflict"))(response, request);
  });
  const { queue, written, failed } = statusWriters(client, { concurrency: 2 });
  await using _ = queue;
  queue.add(objectKey("ns", "cursed"), "changed");
  for (let index = 0; index < 300; index += 1) queue.add(objectKey("ns", `fine-${index}`), "resync");
  await queue.whenIdle();
  expect(new Set(written).size).toBe(300);
  expect(failed.get("ns/cursed")).toBeGreaterThan(0);
  expect([...failed.keys()]).toEqual(["ns/cursed"]);
});

test("bad case 24: while all writes are refused everything waits, and all of it is written once they are not", async () => {
  await using server = await startFaultServer();
  await using client = createKubeClient(server.identity);
  let refusing = true;
  server.otherwise("call", (response, request) => {
    const refused = refusal(403, "Forbidden", { message: "writes are off" });
    return (refusing ? refused : json(200, {}))(response, request);
  });
  const keys = Array.from({ length: 40 }, (_unused, index) => objectKey("ns", `widget-${index}`));
  const { queue, written, failed } = statusWriters(client);
  await using _ = queue;
  for (const key of keys) queue.add(key, "changed");
  while (failed.size < keys.length) await queue.whenIdle().then(() => new Promise((resolve) => setTimeout(resolve, 1)));
  expect(written).toEqual([]);
  refusing = false;
  while (written.length < keys.length) await new Promise((resolve) => setTimeout(resolve, 1));
  expect(new Set(written)).toEqual(new Set(keys));
});
