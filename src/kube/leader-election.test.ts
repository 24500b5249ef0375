import { randomUUID } from "node:crypto";
import { expect, inject, test } from "vitest";
import { eventually } from "../../test/support/eventually.ts";
import { startFaultProxy } from "../../test/support/fault-proxy.ts";
import { refusal, startFaultServer } from "../../test/support/fault-server.ts";
import { createNamespace, kubectl } from "../../test/support/servers.ts";
import type { KubeClient } from "./client.ts";
import { createKubeClient } from "./client.ts";
import { loadIdentity } from "./identity.ts";
import type { CampaignOptions } from "./leader-election.ts";
import { campaign } from "./leader-election.ts";
import type { Lease } from "./lease.ts";
import { microTime } from "./micro-time.ts";
import { LEASE, resourcePath } from "./resource-path.ts";

const times = { leaseDurationMs: 1_000, renewDeadlineMs: 600, retryMs: 50 };

/** For tests in which nobody may lose the lease, however busy the machine is. */
const PATIENT = { leaseDurationMs: 30_000, renewDeadlineMs: 25_000 };

function realIdentity() {
  return loadIdentity({ kubeconfig: inject("controlPlane").kubeconfig, env: {} });
}

/** A campaigner that leads until it is told to stop, and notes when it does. */
function campaigner(client: KubeClient, namespace: string, more: Partial<CampaignOptions> = {}) {
  const stop = new AbortController();
  const reigns: { ended: boolean }[] = [];
  const ended = campaign(client, {
    namespace,
    name: "leader",
    identity: randomUUID(),
    signal: stop.signal,
    ...times,
    async lead(signal) {
      const reign = { ended: false };
      reigns.push(reign);
      await new Promise((resolve) => {
        signal.addEventListener("abort", resolve, { once: true });
      });
      reign.ended = true;
    },
    ...more,
  });
  // Looked at when the test asks for it.
  ended.catch(() => undefined);
  return { stop, reigns, ended };
}

function readLease(client: KubeClient, namespace: string): Promise<Lease> {
  return client.request<Lease>({ method: "GET", path: resourcePath(LEASE, { namespace, name: "leader" }) });
}

function leads(one: ReturnType<typeof campaigner>): boolean {
  return one.reigns.some((reign) => !reign.ended);
}

test("of several campaigners exactly one leads at a time, each with a higher number than the one before", async () => {
  const namespace = await createNamespace("election");
  await using client = createKubeClient(await realIdentity());
  const all = Array.from({ length: 5 }, () => campaigner(client, namespace.name));
  const numbers: number[] = [];
  for (let waiting = [...all]; waiting.length > 0;) {
    const leader = await eventually(() => {
      const [one, ...others] = waiting.filter(leads);
      expect(others).toEqual([]);
      expect(one).toBeDefined();
      return one;
    });
    const { spec } = await readLease(client, namespace.name);
    numbers.push(spec?.leaseTransitions ?? -1);
    leader?.stop.abort();
    await leader?.ended;
    waiting = waiting.filter((one) => one !== leader);
  }
  expect(numbers).toEqual([...new Set(numbers)].toSorted((one, other) => one - other));
  expect(all.map((one) => one.reigns.length)).toEqual([1, 1, 1, 1, 1]);
});

test("whoever leads and whoever waits hears that the API server answers, and nobody when it does not", async () => {
  await using server = await startFaultServer();
  await using client = createKubeClient(server.identity);
  server.otherwise("call", refusal(403, "Forbidden"));
  let answers = 0;
  const one = campaigner(client, "default", { ...PATIENT, answered: () => void (answers += 1) });
  await eventually(() => expect(server.requests.length).toBeGreaterThan(2));
  expect(answers).toBe(0);
  one.stop.abort();
  await one.ended;

  const namespace = await createNamespace("election");
  await using real = createKubeClient(await realIdentity());
  const heard = { leader: 0, standby: 0 };
  const leader = campaigner(real, namespace.name, { ...PATIENT, answered: () => void (heard.leader += 1) });
  await eventually(() => expect(leads(leader)).toBe(true));
  const standby = campaigner(real, namespace.name, { ...PATIENT, answered: () => void (heard.standby += 1) });
  await eventually(() => {
    expect(heard.leader).toBeGreaterThan(2);
    expect(heard.standby).toBeGreaterThan(2);
  });
  standby.stop.abort();
  leader.stop.abort();
  await Promise.all([standby.ended, leader.ended]);
});

test("a leader that stops gives the lease back, so that the next does not wait for its end", async () => {
  const namespace = await createNamespace("election");
  await using client = createKubeClient(await realIdentity());
  // A lease that would not run out within this test.
  const first = campaigner(client, namespace.name, { leaseDurationMs: 3_600_000 });
  await eventually(() => expect(leads(first)).toBe(true));
  const second = campaigner(client, namespace.name);
  first.stop.abort();
  await first.ended;
  await eventually(() => expect(leads(second)).toBe(true));
  second.stop.abort();
  await second.ended;
  expect((await readLease(client, namespace.name)).spec?.holderIdentity).toBe("");
});

test("bad case 25: a lease whose holder is silent is taken over after its duration as seen here, whatever its clock says", async () => {
  const namespace = await createNamespace("election");
  await using client = createKubeClient(await realIdentity());
  // The holder's clock is a year ahead: by its times the lease would never end.
  const spec = {
    holderIdentity: "dead",
    leaseDurationSeconds: 1,
    renewTime: "2099-01-01T00:00:00.000000Z",
    leaseTransitions: 7,
  };
  const path = resourcePath(LEASE, { namespace: namespace.name });
  await client.request({ method: "POST", path, body: { metadata: { name: "leader" }, spec } });
  const startedAt = performance.now();
  const one = campaigner(client, namespace.name);
  await eventually(() => expect(leads(one)).toBe(true));
  expect(performance.now() - startedAt).toBeGreaterThanOrEqual(1_000);
  expect((await readLease(client, namespace.name)).spec?.leaseTransitions).toBe(8);
  one.stop.abort();
  await one.ended;
});

test("bad case 25: a holder whose clock is a minute behind keeps the lease that it renews", async () => {
  const namespace = await createNamespace("election");
  await using client = createKubeClient(await realIdentity());
  const spec = { holderIdentity: "behind", leaseDurationSeconds: 30, leaseTransitions: 7 };
  const path = resourcePath(LEASE, { namespace: namespace.name, name: "leader" });
  const renewing = Promise.withResolvers<void>();
  let renewals = 0;
  const renew = async (method: "POST" | "PATCH"): Promise<void> => {
    // By this it ended half a minute ago.
    const renewTime = microTime(Date.now() - 60_000);
    await client.request({
      method,
      path: method === "POST" ? resourcePath(LEASE, { namespace: namespace.name }) : path,
      body: {
        apiVersion: "coordination.k8s.io/v1",
        kind: "Lease",
        metadata: { name: "leader" },
        spec: { ...spec, renewTime },
      },
      ...(method === "PATCH" && { contentType: "application/merge-patch+json" }),
    });
  };
  await renew("POST");
  const one = campaigner(client, namespace.name, {
    // Each time the other one has looked.
    answered() {
      renewals += 1;
      if (renewals < 10) void renew("PATCH").catch(renewing.reject);
      else renewing.resolve();
    },
  });
  await renewing.promise;
  expect(one.reigns).toEqual([]);
  one.stop.abort();
  await one.ended;
});

test("bad case 25: a leader that cannot renew stops before its lease ends, and only then another begins", async () => {
  const namespace = await createNamespace("election");
  await using proxy = await startFaultProxy(await realIdentity());
  await using cutOff = createKubeClient(proxy.identity);
  await using client = createKubeClient(await realIdentity());
  const first = campaigner(cutOff, namespace.name, { leaseDurationMs: 3_000 });
  await eventually(() => expect(leads(first)).toBe(true));
  const second = campaigner(client, namespace.name);
  await proxy[Symbol.asyncDispose]();
  await expect(first.ended).rejects.toMatchObject({ code: "leadership_lost" });
  expect(first.reigns).toEqual([{ ended: true }]);
  expect(second.reigns).toEqual([]);
  await eventually(() => expect(second.reigns).toHaveLength(1));
  expect((await readLease(client, namespace.name)).spec?.leaseTransitions).toBe(1);
  second.stop.abort();
  await second.ended;
});

test("bad case 25: a leader whose lease somebody else took stops at once", async () => {
  const namespace = await createNamespace("election");
  await using client = createKubeClient(await realIdentity());
  const one = campaigner(client, namespace.name, PATIENT);
  await eventually(() => expect(leads(one)).toBe(true));
  const patch = JSON.stringify({ spec: { holderIdentity: "usurper" } });
  await kubectl(["patch", "lease", "leader", "-n", namespace.name, "--type=merge", "-p", patch]);
  await expect(one.ended).rejects.toMatchObject({
    code: "leadership_lost",
    message: expect.stringContaining("usurper holds it now"),
  });
  expect(one.reigns).toEqual([{ ended: true }]);
  expect((await readLease(client, namespace.name)).spec?.holderIdentity).toBe("usurper");
});

test("a lease that somebody deletes is made again by its leader, with the same number", async () => {
  const namespace = await createNamespace("election");
  await using client = createKubeClient(await realIdentity());
  const one = campaigner(client, namespace.name, PATIENT);
  await eventually(() => expect(leads(one)).toBe(true));
  const before = await readLease(client, namespace.name);
  await kubectl(["delete", "lease", "leader", "-n", namespace.name]);
  const after = await eventually(() => readLease(client, namespace.name));
  expect(after.spec).toMatchObject({ holderIdentity: before.spec?.holderIdentity, leaseTransitions: 0 });
  expect(leads(one)).toBe(true);
  one.stop.abort();
  await one.ended;
});

test("renewals that fail now and then cost nothing", async () => {
  const namespace = await createNamespace("election");
  await using proxy = await startFaultProxy(await realIdentity());
  await using client = createKubeClient(proxy.identity);
  const one = campaigner(client, namespace.name, PATIENT);
  await eventually(() => expect(leads(one)).toBe(true));
  const first = (await readLease(client, namespace.name)).metadata.resourceVersion;
  proxy.resetAll();
  await eventually(async () => {
    expect((await readLease(client, namespace.name)).metadata.resourceVersion).not.toBe(first);
  });
  expect(leads(one)).toBe(true);
  one.stop.abort();
  await one.ended;
});

test("the campaign ends with what the leader threw, after the lease was given back", async () => {
  const namespace = await createNamespace("election");
  await using client = createKubeClient(await realIdentity());
  const failure = new Error("cannot lead");
  const one = campaigner(client, namespace.name, { lead: () => Promise.reject(failure) });
  await expect(one.ended).rejects.toBe(failure);
  expect((await readLease(client, namespace.name)).spec?.holderIdentity).toBe("");
});

test("a campaign that is ended while it waits resolves without having led, and says once why it could not begin", async () => {
  await using server = await startFaultServer();
  await using client = createKubeClient(server.identity);
  server.otherwise("call", refusal(403, "Forbidden"));
  const lines: string[] = [];
  const note = (_fields: object, line: string): void => void lines.push(line);
  const one = campaigner(client, "ns", { log: { info: note, warn: note, error: note } });
  await eventually(() => expect(server.requests.length).toBeGreaterThan(3));
  one.stop.abort();
  await one.ended;
  expect(one.reigns).toEqual([]);
  expect(lines).toEqual(["Cannot get at the lease; trying again"]);
});

test("who leads is told to the metrics", async () => {
  const namespace = await createNamespace("election");
  await using client = createKubeClient(await realIdentity());
  const told: unknown[] = [];
  const one = campaigner(client, namespace.name, { metrics: { leading: (lease, is) => void told.push([lease, is]) } });
  await eventually(() => expect(told).toEqual([["leader", true]]));
  one.stop.abort();
  await one.ended;
  expect(told).toEqual([
    ["leader", true],
    ["leader", false],
  ]);
});
