import { afterAll, expect, test } from "vitest";
import { controllerCalls, writesAmong } from "./support/audit-log.ts";
import { eventually } from "./support/eventually.ts";
import { createInstallation } from "./support/keystead.ts";
import type { KeysteadProcess } from "./support/keystead-process.ts";
import { canary } from "./support/leaks.ts";
import { connection, environment, integration, secret } from "./support/resources.ts";

// Of several controllers one works; the others take over when it ends, however it ends.

const installation = await createInstallation("leadership");
const { objects, namespace } = installation;
const LEASE = "lease/keystead-controller";

afterAll(() => installation[Symbol.asyncDispose]());

/** Whether the process says that it leads, as stock dashboards read it. */
async function leads(process: KeysteadProcess): Promise<boolean> {
  const answer = await fetch(`${await process.metricsUrl()}/metrics`);
  return /^leader_election_master_status\{.*\} 1$/m.test(await answer.text());
}

async function holder(): Promise<unknown> {
  return (await objects.get(LEASE)).spec?.["holderIdentity"];
}

const first = installation.start("controller");
await first.logged("Leading");
const second = installation.start("controller");
await second.logged("the API server answers");

test("only the leader works: the other has no part in what is written", async () => {
  await objects.apply(
    environment("production"),
    integration("stripe", "production"),
    secret("acme", { token: canary("acme") }),
    connection("acme", { environment: "production", integration: "stripe" }),
  );
  await objects.ready("connection/acme");

  expect(await Promise.all([leads(first), leads(second)])).toEqual([true, false]);
  expect(second.output()).not.toContain("Leading");
  // Each write once: finalizer and status of three resources, and one Secret.
  expect(writesAmong(controllerCalls(namespace))).toHaveLength(7);
});

test("SIGTERM gives the lease back and exits 0, and the other goes on at once", async () => {
  expect(await first.end("SIGTERM")).toBe(0);
  expect(first.output()).toContain("Gave the lease back");

  // Before the old lease would have run out, and without a restart.
  await second.logged("Leading");
  await objects.apply(environment("after-sigterm"));
  await objects.ready("environment/after-sigterm");
});

test("a leader that is killed is followed once its lease has run out, and nothing is lost", async () => {
  const third = installation.start("controller");
  await third.logged("the API server answers");
  await second.end("SIGKILL");
  await objects.apply(environment("orphaned"));

  // 15 s after the last renewal that the third saw.
  await third.logged("Leading");
  await objects.ready("environment/orphaned");
  expect(await leads(third)).toBe(true);

  await third.end();
});

test("a leader whose lease is taken by somebody else stops and exits 1", async () => {
  const usurped = installation.start("controller");
  await usurped.logged("Leading");
  // Renewals are conditional, so a write in between may have to be made again.
  await eventually(async () => {
    await objects.patch(LEASE, { spec: { holderIdentity: "somebody-else", leaseDurationSeconds: 1 } });
    expect(await holder()).toBe("somebody-else");
  });

  expect(await usurped.exit).toBe(1);
  expect(usurped.output()).toContain("leadership_lost");
  expect(usurped.output()).toContain("somebody-else holds it now");
});

test("a process that is told to end while it waits for the lease ends at once, with exit 0", async () => {
  await objects.patch(LEASE, { spec: { holderIdentity: "somebody-else", leaseDurationSeconds: 3600 } });
  const waiting = installation.start("controller");
  await waiting.logged("the API server answers");

  expect(await waiting.end("SIGTERM")).toBe(0);
  expect(await holder()).toBe("somebody-else");
});
