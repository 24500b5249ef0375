import { execFile } from "node:child_process";
import { afterAll, expect, test } from "vitest";
import { query, withClient } from "./support/database.ts";
import { eventually } from "./support/eventually.ts";
import { createInstallation } from "./support/keystead.ts";
import { environment } from "./support/resources.ts";

// What `keystead audit verify` finds in what the processes wrote, before and after somebody who owns the database was at it.

const installation = await createInstallation("audit");
const { objects, database } = installation;

afterAll(() => installation[Symbol.asyncDispose]());

interface Ran {
  readonly status: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** `keystead audit verify`, with the settings of the processes. */
function auditVerify(...args: readonly string[]): Promise<Ran> {
  const main = new URL("../src/main.ts", import.meta.url).pathname;
  return new Promise((resolve) => {
    const child = execFile(
      process.execPath,
      [main, "audit", "verify", ...args],
      { env: { PATH: process.env["PATH"], ...installation.environment } },
      (_, stdout, stderr) => resolve({ status: child.exitCode ?? -1, stdout, stderr }),
    );
  });
}

async function unlinked(): Promise<number> {
  const report: unknown = JSON.parse((await auditVerify("-o", "json")).stdout);
  return typeof report === "object" && report !== null && "unlinked" in report ? Number(report.unlinked) : Number.NaN;
}

test("an audit event names the resource by its uid, and whoever changed it last by its field manager", async () => {
  await using controller = installation.start("controller");
  await objects.apply(environment("production"));
  await objects.ready("environment/production");
  const { uid } = (await objects.get("environment/production")).metadata;
  const events = await query(database.ownerUrl, "select actor, field_manager, action from keystead.audit_events");
  expect(events).toEqual([{ actor: uid, field_manager: "keystead-tests", action: "environment.created" }]);
  expect(await controller.end()).toBe(0);
});

test("the events of a process that crashed are linked by the next one, and the head of the chain is in its log", async () => {
  const crashing = installation.start("controller");
  await objects.apply(environment("crashed"));
  await objects.ready("environment/crashed");
  await crashing.end("SIGKILL");
  await using next = installation.start("api");
  const { head } = await next.logged("head of the audit chain");
  await eventually(async () => expect(await unlinked()).toBe(0));
  const { status, stdout } = await auditVerify("--head", String(head));
  expect(stdout).toContain("The chain is whole.");
  expect(stdout).toMatch(/^EVENTS {2,}2$/m);
  expect(status).toBe(0);
});

test("the first break is named with its link, its event and what is wrong, and the exit status is 1", async () => {
  await withClient(database.ownerUrl, (client) =>
    client.query(
      "update keystead.audit_events set actor = 'nobody' where action = 'environment.created' and event_id = 1",
    ),
  );
  const told = await auditVerify();
  expect(told.stdout).toMatch(
    /^The chain is BROKEN at link 1, event 1, of \d{4}-\d\d-\d\d: this event was changed\.$/m,
  );
  expect(told.status).toBe(1);
  const { stdout, status } = await auditVerify("-o", "json");
  expect(JSON.parse(stdout)).toMatchObject({ break: { sequence: 1, eventId: 1, problem: "this event was changed" } });
  expect(status).toBe(1);
});

test("a head that is no head is refused with what it has to look like", async () => {
  const { status, stderr } = await auditVerify("--head", "42");
  expect(stderr).toContain("a number, a colon, 64 hex digits");
  expect(status).toBe(1);
});
