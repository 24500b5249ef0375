import { afterAll, beforeEach, expect, inject, test } from "vitest";
import { loadIdentity } from "../src/kube/identity.ts";
import { startApiServerProxy } from "./support/api-server-proxy.ts";
import { eventually } from "./support/eventually.ts";
import { createInstallation } from "./support/keystead.ts";
import { kstatusOf } from "./support/kstatus.ts";
import { canary } from "./support/leaks.ts";
import { connection, environment, integration, secret } from "./support/resources.ts";
import { query } from "./support/database.ts";

// An API server that is slow, refuses, contradicts or is away holds work up; nothing is lost, doubled or given up.

const installation = await createInstallation("trouble");
const { objects, history, database } = installation;
const { server } = await loadIdentity({ kubeconfig: inject("controlPlane").kubeconfig, env: {} });
const proxy = await startApiServerProxy(server);
const parents = { environment: "production", integration: "stripe" };

const controller = installation.start("controller", {
  KUBECONFIG: proxy.kubeconfigLike(installation.environment["KUBECONFIG"] ?? ""),
});
await objects.apply(environment("production"), integration("stripe", "production"));
await objects.ready("environment/production", "integration/stripe");

beforeEach(() => proxy.decide(() => undefined));
afterAll(async () => {
  await installation[Symbol.asyncDispose]();
  await proxy[Symbol.asyncDispose]();
});

/** Applies a Connection with a Secret of its own. */
async function applyConnection(name: string): Promise<void> {
  await objects.apply(secret(name, { token: canary(name) }), connection(name, parents));
}

function ofStuck({ url }: { readonly url: string }): boolean {
  return /\/connections\/stuck(?:\/|\?|$)/.test(url);
}

function revisionsOf(name: string): Promise<object[]> {
  return query(database.ownerUrl, "select revision::int from keystead.connections where connection_id = $1", [name]);
}

test("bad case 24: with 2 s for each call a Connection still becomes Ready, and the leader keeps its lease", async () => {
  proxy.decide(({ isWatch }) => (isWatch ? undefined : { delayMs: 2_000 }));
  await applyConnection("slow");

  await objects.ready("connection/slow");
  expect(controller.running).toBe(true);
});

test("bad case 24: while all writes are refused nothing is given up, and it goes on once they are taken", async () => {
  proxy.decide(({ method, url }) =>
    method !== "GET" && !url.includes("/leases/") ? { refusal: { code: 500, reason: "InternalError" } } : undefined,
  );
  await applyConnection("refused");
  await eventually(() => {
    const writes = proxy.calls.filter(({ method, url }) => method === "PATCH" && url.includes("/connections/refused"));
    expect(writes.length).toBeGreaterThan(2);
  });
  expect(kstatusOf(await objects.get("connection/refused"))).toBe("InProgress");

  proxy.decide(() => undefined);
  await objects.ready("connection/refused");
  expect(await revisionsOf("refused")).toEqual([{ revision: 1 }]);
});

test("bad case 24: one object that is answered 409 for ever holds up no other, and is asked for less and less", async () => {
  proxy.decide((call) =>
    call.method === "PATCH" && ofStuck(call) ? { refusal: { code: 409, reason: "Conflict" } } : undefined,
  );
  await applyConnection("stuck");
  const others = Array.from({ length: 20 }, (_, index) => `other-${index}`);
  await Promise.all(others.map(applyConnection));

  await objects.ready(...others.map((name) => `connection/${name}` as const));
  // Pauses double from 5 ms, so ten attempts take more than 2.5 s.
  await eventually(() => expect(proxy.calls.filter(ofStuck).length).toBeGreaterThan(5));
  const attempts = proxy.calls.filter((call) => call.method === "PATCH" && ofStuck(call)).length;
  expect(attempts).toBeLessThan(20);
  expect(history.of("connection/stuck").flatMap(({ metadata }) => metadata.finalizers ?? [])).toEqual([]);

  proxy.decide(() => undefined);
  await objects.ready("connection/stuck");
  expect(await revisionsOf("stuck")).toEqual([{ revision: 1 }]);
});

test("what changes while the API server cannot be reached is found when it can be again", async () => {
  proxy.sever();
  await applyConnection("unseen");
  await objects.patch("connection/slow", { spec: { tags: { team: "sales" } } });
  await objects.startDelete("connection/refused");
  expect(controller.running).toBe(true);

  proxy.mend();
  await objects.ready("connection/unseen", "connection/slow");
  await objects.delete("connection/refused");
  expect(await revisionsOf("slow")).toEqual([{ revision: 2 }]);
});
