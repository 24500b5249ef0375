import { afterAll, beforeEach, expect, test } from "vitest";
import { json, refusal, startFaultServer } from "../../test/support/fault-server.ts";
import { parsedConnection } from "../../test/support/parsed-resources.ts";
import { KeysteadError } from "../errors.ts";
import { createKubeClient } from "../kube/client.ts";
import { type Connection, parseConnection } from "../resources/connection.ts";
import { CONNECTION } from "../resources/kinds.ts";
import type { Parsed } from "../resources/parse.ts";
import { gone, type Outcome, settled, stalled, waiting } from "./outcome.ts";
import { createRunner } from "./runner.ts";

const KEY = "shop/acme";
const TURN = { priority: "changed", failures: 0 } as const;
const READY = settled("Stored.", { connectionId: "1" });
const MISSING = waiting("SecretNotFound", "Secret acme does not exist.");

const server = await startFaultServer();
const client = createKubeClient(server.identity);
afterAll(async () => {
  await client[Symbol.asyncDispose]();
  await server[Symbol.asyncDispose]();
});
beforeEach(() => server.otherwise("call", json(200, {})));

/** A runner over one Connection, with everything that came out of it. */
function runnerOver(
  initial: Parsed<Connection> | undefined,
  reconcile: (connection: Connection) => Outcome | Promise<Outcome>,
) {
  let found = initial;
  let clock = Date.parse("2026-11-24T08:00:00Z");
  const events: string[] = [];
  const results: string[] = [];
  const seenBefore = server.requests.length;
  const runner = createRunner<Connection>(
    {
      client,
      events: {
        record: (_subject, { reason }) => void events.push(reason),
        flush: () => Promise.resolve(),
        [Symbol.asyncDispose]: () => Promise.resolve(),
      },
      metrics: {
        started: () => (result, terminal) => void results.push(terminal === true ? `${result}, terminal` : result),
      },
      log: { warn: () => undefined },
      now: () => new Date(clock),
    },
    {
      kind: CONNECTION,
      parse: parseConnection,
      get: () => found,
      reconcile: async (connection) => reconcile(connection),
      release: () => Promise.resolve(gone()),
    },
  );
  return {
    pass: () => runner.run(KEY, new AbortController().signal, TURN),
    /** The watch shows another version of the object. */
    show: (next: Parsed<Connection> | undefined): void => {
      found = next;
      if (next) runner.statusSeen(KEY, next.value.status);
    },
    advance: (ms: number) => void (clock += ms),
    events,
    results,
    /** Statuses that were written. */
    written: () => server.requests.slice(seenBefore).filter(({ method }) => method === "PATCH"),
  };
}

function valid(metadata: object = {}, status?: object, spec: object = {}): Parsed<Connection> {
  const value = parsedConnection("acme", spec, { ...metadata });
  return { ok: true, value: status ? { ...value, status: parseConnection({ status }).value.status } : value };
}

/** The status of the last write, as the watch would show it. */
function statusOf(body: string | undefined): object {
  const steps: { op: string; path: string; value: unknown }[] = JSON.parse(body ?? "[]");
  return Object.fromEntries(
    steps.filter(({ path }) => path.startsWith("/status/")).map(({ path, value }) => [path.slice(8), value]),
  );
}

test("what a pass found out is written once, and the same again not at all", async () => {
  const { pass, written, results } = runnerOver(valid(), () => READY);
  expect(await pass()).toEqual({ kind: "done" });
  await pass();

  expect(written()).toHaveLength(1);
  expect(written()[0]?.path).toBe("/apis/keystead.dev/v1alpha1/namespaces/shop/connections/acme/status");
  expect(results).toEqual(["success", "success"]);
});

test("the event of an earlier write does not make the runner forget what it has written since", async () => {
  const { pass, show, written } = runnerOver(valid(), () => READY);
  await pass();
  // That of the finalizer, which the watch shows with the status from before.
  show(valid({ resourceVersion: "2" }));
  await pass();

  expect(written()).toHaveLength(1);
});

test("a pass that began before the event of the last write came does not write the same once more", async () => {
  let again: (() => void) | undefined;
  const { pass, show, written, advance } = runnerOver(valid(), () => {
    again?.();
    return READY;
  });
  await pass();
  // The second pass has the object from before the write; the event comes while it runs, and a second later it ends.
  again = () => {
    show(valid({ resourceVersion: "3" }, statusOf(written()[0]?.body)));
    advance(5_000);
  };
  await pass();

  expect(written()).toHaveLength(1);
});

test("a status that somebody else changed is set right by the next pass", async () => {
  const { pass, show, written } = runnerOver(valid(), () => READY);
  await pass();
  show(valid({ resourceVersion: "3" }, { observedGeneration: 7 }));
  await pass();

  expect(written()).toHaveLength(2);
});

test("a new resource that waits says so only after a second, in case what it waits for is just being created", async () => {
  const { pass, written, advance, events } = runnerOver(valid(), () => MISSING);
  expect(await pass()).toEqual({ kind: "after", ms: 1_000 });
  advance(400);
  expect(await pass(), "a pass in between does not begin anew").toEqual({ kind: "after", ms: 600 });
  expect(written()).toHaveLength(0);
  expect(events).toEqual([]);

  advance(600);
  await pass();
  expect(written()).toHaveLength(1);
  expect(events).toEqual(["SecretNotFound"]);
});

test("a resource that was ready says at once what it waits for", async () => {
  const ready = { observedGeneration: 1, conditions: [conditionOf("Ready", "True")] };
  const { pass, written } = runnerOver(valid({}, ready), () => MISSING);
  await pass();
  expect(written()).toHaveLength(1);
});

test("waiting and stalled resources are looked at again within five minutes", async () => {
  for (const outcome of [stalled("CredentialsMismatch", "They do not match."), MISSING]) {
    const { pass, advance } = runnerOver(valid(), () => outcome);
    await pass();
    advance(1_000);
    const requeue = await pass();
    expect(requeue).toEqual({ kind: "after", ms: expect.any(Number) });
    expect(requeue.kind === "after" && requeue.ms).toBeLessThanOrEqual(300_000);
    expect(requeue.kind === "after" && requeue.ms).toBeGreaterThan(200_000);
  }
});

test.each([
  { thrown: new KeysteadError("database_unavailable", "gone"), writes: 1, result: "error", requeue: "backoff" },
  { thrown: new KeysteadError("row_changed", "changed"), writes: 0, result: "error", requeue: "backoff" },
  { thrown: new TypeError("a bug"), writes: 0, result: "error", requeue: "backoff" },
  {
    thrown: new KeysteadError("connection_id_in_use", "in use"),
    writes: 1,
    result: "requeue_after, terminal",
    requeue: "after",
  },
])("a pass that throws $thrown.message ends in $requeue", async ({ thrown, writes, result, requeue }) => {
  const { pass, written, results } = runnerOver(valid(), () => Promise.reject(thrown));
  expect((await pass()).kind).toBe(requeue);
  expect(written()).toHaveLength(writes);
  expect(results).toEqual([result]);
});

test("a status that cannot be written is tried again, with back-off", async () => {
  const { pass, written } = runnerOver(valid(), () => READY);
  server.otherwise("call", refusal(409, "Conflict"));
  expect(await pass()).toEqual({ kind: "backoff" });
  server.otherwise("call", json(200, {}));
  expect(await pass()).toEqual({ kind: "done" });
  expect(written().length).toBeGreaterThan(1);
});

test("a status that the API server refuses because of the object is told once for each edit, and hardly tried again", async () => {
  const causes = [{ reason: "FieldValueInvalid", message: "invalid data, expected a map", field: "spec" }];
  server.otherwise("call", refusal(422, "Invalid", { details: { causes } }));
  const { pass, show, events, results } = runnerOver(valid(), () => stalled("InvalidSpec", "spec must be an object."));
  const requeue = await pass();
  await pass();
  expect(requeue.kind === "after" && requeue.ms).toBeGreaterThan(200_000);
  expect(events).toEqual(["StatusRefused"]);
  expect(results).toEqual(["requeue_after, terminal", "requeue_after, terminal"]);

  show(valid({ generation: 2 }));
  await pass();
  expect(events).toEqual(["StatusRefused", "StatusRefused"]);
});

test("an object of an invalid shape is Stalled and never reconciled", async () => {
  const { spec: _, ...value } = parsedConnection();
  const { pass, written } = runnerOver({ ok: false, message: "spec.tags must be an object.", value }, () =>
    expect.unreachable(),
  );
  await pass();
  expect(written()[0]?.body).toContain("spec.tags must be an object.");
});

test("a suspended resource is not reconciled", async () => {
  const { pass, written } = runnerOver(valid({}, undefined, { suspend: true }), () => expect.unreachable());
  expect(await pass()).toEqual({ kind: "done" });
  expect(written()[0]?.body).toContain("Suspended");
});

test("a resource that is being deleted is released, suspended or not, and its status is left", async () => {
  for (const suspend of [true, false]) {
    const deleted = valid({ deletionTimestamp: "2026-11-24T07:00:00Z" }, undefined, { suspend });
    const { pass, written } = runnerOver(deleted, () => expect.unreachable());
    expect(await pass()).toEqual({ kind: "done" });
    expect(written()).toHaveLength(0);
  }
});

test("a resource that is gone asks for nothing, and one of the same name begins anew", async () => {
  const { pass, show, written } = runnerOver(valid(), () => READY);
  await pass();
  show(undefined);
  expect(await pass()).toEqual({ kind: "done" });
  show(valid({ uid: "another" }));
  await pass();
  expect(written()).toHaveLength(2);
});

function conditionOf(type: string, status: string): object {
  return { type, status, reason: "Any", message: "Any.", lastTransitionTime: "2026-11-24T07:00:00Z" };
}
