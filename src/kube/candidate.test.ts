import { expect, test } from "vitest";
import type { Reaction } from "../../test/support/fault-server.ts";
import { json, refusal, reset, startFaultServer } from "../../test/support/fault-server.ts";
import type { Candidate } from "./candidate.ts";
import { release, renew, tryAcquire } from "./candidate.ts";
import { createKubeClient } from "./client.ts";
import type { Lease, LeaseSpec } from "./lease.ts";

const call = { signal: new AbortController().signal, timeoutMs: 5_000 };

function lease(resourceVersion: string, spec: LeaseSpec = {}): Lease {
  return { metadata: { name: "leader", namespace: "ns", resourceVersion }, spec };
}

/** A candidate named `us` before a server that answers its calls like this, one after the other. */
async function candidateBefore(...answers: Reaction[]) {
  const server = await startFaultServer();
  const client = createKubeClient(server.identity);
  server.script("call", ...answers);
  const candidate: Candidate = {
    client,
    namespace: "ns",
    name: "leader",
    identity: "us",
    leaseDurationMs: 15_000,
    observed: { lease: undefined, since: performance.now() },
  };
  return {
    candidate,
    calls: () =>
      server.requests.map(({ method, body }) => (body === "" ? method : `${method} ${brief(JSON.parse(body))}`)),
    async [Symbol.asyncDispose]() {
      await client[Symbol.asyncDispose]();
      await server[Symbol.asyncDispose]();
    },
  };
}

function brief(body: Lease): string {
  const { holderIdentity, leaseTransitions } = body.spec ?? {};
  return `${body.metadata.resourceVersion ?? "new"} ${holderIdentity === "" ? "nobody" : holderIdentity} ${leaseTransitions}`;
}

function held(version: string): Reaction {
  return json(200, lease(version, { holderIdentity: "them", leaseDurationSeconds: 15, leaseTransitions: 7 }));
}

const taken = json(200, lease("9", { holderIdentity: "us", leaseTransitions: 8 }));

test.each([
  { why: "missing", known: refusal(404, "NotFound"), fence: 0, calls: ["GET", "POST new us 0"] },
  { why: "empty", known: json(200, lease("5")), fence: 1, calls: ["GET", "PUT 5 us 1"] },
  {
    why: "given back",
    known: json(200, lease("5", { holderIdentity: "", leaseTransitions: 7 })),
    fence: 8,
    calls: ["GET", "PUT 5 us 8"],
  },
  {
    why: "ours, from an attempt whose answer got lost",
    known: json(200, lease("5", { holderIdentity: "us", leaseTransitions: 7 })),
    fence: 8,
    calls: ["GET", "PUT 5 us 8"],
  },
])("a lease that is $why is taken with a higher fence", async ({ known, fence, calls }) => {
  await using one = await candidateBefore(known, taken);
  expect(await tryAcquire(one.candidate, call)).toBe(fence);
  expect(one.calls()).toEqual(calls);
});

test("a lease that somebody holds is left alone until it did not change for its duration", async () => {
  await using one = await candidateBefore(held("5"), held("5"), held("6"), held("6"), taken);
  expect(await tryAcquire(one.candidate, call)).toBeUndefined();
  // Sixteen seconds later the record has not changed, so it may be taken; but just then it is renewed.
  one.candidate.observed = { ...one.candidate.observed, since: performance.now() - 14_000 };
  expect(await tryAcquire(one.candidate, call)).toBeUndefined();
  expect(await tryAcquire(one.candidate, call)).toBeUndefined();
  one.candidate.observed = { ...one.candidate.observed, since: performance.now() - 16_000 };
  expect(await tryAcquire(one.candidate, call)).toBe(8);
});

test("of two that take a free lease at once, one is told that the other was faster", async () => {
  await using one = await candidateBefore(json(200, lease("5")), refusal(409, "Conflict"));
  expect(await tryAcquire(one.candidate, call)).toBeUndefined();
  await using other = await candidateBefore(refusal(404, "NotFound"), refusal(409, "AlreadyExists"));
  expect(await tryAcquire(other.candidate, call)).toBeUndefined();
});

test("a namespace that is missing is an error, not a lease that somebody else has", async () => {
  await using one = await candidateBefore(refusal(404, "NotFound"), refusal(404, "NotFound"));
  await expect(tryAcquire(one.candidate, call)).rejects.toMatchObject({ code: "kube_not_found" });
});

test("a renewal whose answer got lost is found to be ours and tried again", async () => {
  const ours = json(200, lease("10", { holderIdentity: "us", leaseTransitions: 8 }));
  await using one = await candidateBefore(json(200, lease("5")), taken, refusal(409, "Conflict"), ours, ours);
  await tryAcquire(one.candidate, call);
  expect(await renew(one.candidate, 8, call)).toBe(false);
  expect(await renew(one.candidate, 8, call)).toBe(true);
  expect(one.calls().slice(2)).toEqual(["PUT 9 us 8", "GET", "PUT 10 us 8"]);
});

test("a renewal is never repeated by the client itself", async () => {
  await using one = await candidateBefore(json(200, lease("5")), taken, reset());
  await tryAcquire(one.candidate, call);
  await expect(renew(one.candidate, 8, call)).rejects.toMatchObject({ code: "kube_unreachable" });
  expect(one.calls()).toHaveLength(3);
});

test("a lease is given back also when the last renewal, broken off, had taken effect", async () => {
  const ours = json(200, lease("10", { holderIdentity: "us", leaseTransitions: 8 }));
  await using one = await candidateBefore(json(200, lease("5")), taken, refusal(409, "Conflict"), ours, ours);
  await tryAcquire(one.candidate, call);
  await release(one.candidate, 8, call);
  expect(one.calls().slice(2)).toEqual(["PUT 9 nobody 8", "GET", "PUT 10 nobody 8"]);
});

test("a lease that is another's by now is not given back", async () => {
  const theirs = json(200, lease("10", { holderIdentity: "them", leaseTransitions: 9 }));
  await using one = await candidateBefore(json(200, lease("5")), taken, refusal(409, "Conflict"), theirs);
  await tryAcquire(one.candidate, call);
  await release(one.candidate, 8, call);
  expect(one.calls()).toHaveLength(4);
});
