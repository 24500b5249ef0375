import { spawn } from "node:child_process";
import { once } from "node:events";
import { text } from "node:stream/consumers";
import { afterAll, expect, test } from "vitest";
import { applicationOf } from "./support/application.ts";
import { query } from "./support/database.ts";
import { eventually } from "./support/eventually.ts";
import { createInstallation } from "./support/keystead.ts";
import type { KeysteadProcess } from "./support/keystead-process.ts";
import { canary } from "./support/leaks.ts";
import { connection, environment, integration, secret } from "./support/resources.ts";

// A finalizer that was forced off leaves a row behind: it is found, proven and soft-deleted, unless there are too many.

const installation = await createInstallation("orphans");
const { objects, database } = installation;
let keystead = installation.start("run");
const parents = { environment: "production", integration: "stripe" };
const credentials = { apiKey: { apiKeyRef: { name: "acme", key: "token" } } };

afterAll(() => installation[Symbol.asyncDispose]());

await objects.apply(
  environment("production"),
  integration("stripe", "production"),
  secret("acme", { token: canary("token") }),
);
await applyConnections("first", 2);

async function applyConnections(prefix: string, count: number): Promise<string[]> {
  const names = Array.from({ length: count }, (_, n) => `${prefix}-${n}`);
  await objects.apply(...names.map((name) => connection(name, parents, { credentials })));
  await objects.ready(...names.map((name) => `connection/${name}` as const));
  return names;
}

/** As a person does in despair: without the controller, the finalizer is taken off and the object goes. */
async function forceAway(...names: readonly string[]): Promise<void> {
  for (const name of names) {
    await objects.startDelete(`connection/${name}`);
    await objects.patch(`connection/${name}`, { metadata: { finalizers: null } });
  }
}

async function deletedRows(): Promise<string[]> {
  const rows = await query<{ connection_id: string }>(
    database.ownerUrl,
    "select connection_id from keystead.connections where deleted_at is not null order by connection_id",
  );
  return rows.map(({ connection_id: id }) => id);
}

async function metric(process: KeysteadProcess, name: string): Promise<number> {
  const answer = await fetch(`${await process.metricsUrl()}/metrics`);
  const line = (await answer.text()).split("\n").find((one) => one.startsWith(`${name} `));
  return Number(line?.slice(name.length));
}

async function admin(...args: readonly string[]): Promise<string> {
  const child = spawn(process.execPath, ["src/main.ts", "admin", "sweep", ...args], {
    env: { ...process.env, ...installation.environment },
    stdio: ["ignore", "pipe", "inherit"],
  });
  const [output] = await Promise.all([text(child.stdout), once(child, "close")]);
  return output;
}

test("a Connection that went without its finalizer while the controller was down is soft-deleted, and can be restored", async () => {
  const application = await applicationOf(installation, keystead, "production");
  await keystead.end();
  await forceAway("first-0");

  keystead = installation.start("run");

  await eventually(async () => expect(await deletedRows()).toEqual(["first-0"]));
  const again = await applicationOf(installation, keystead, "production");
  expect(again.key).toBe(application.key);
  expect(await again.credentials("first-0", "stripe")).toBe(404);
  expect(await again.credentials("first-1", "stripe")).toMatchObject({ type: "API_KEY" });
  const [row] = await query<{ id: string }>(
    database.ownerUrl,
    "select connection_row_id as id from keystead.connections where connection_id = 'first-0'",
  );
  const [event] = await query(
    database.ownerUrl,
    "select actor_kind, actor, target_id from keystead.audit_events where action = 'connection.deleted'",
  );
  expect(event).toEqual({ actor_kind: "system", actor: "orphan-sweep", target_id: row?.id });
  await objects.apply(connection("first-0", parents, { credentials, restoreFrom: row?.id }));
  await objects.ready("connection/first-0");
});

test("a connection id that an orphaned row holds is free at once for the next Connection", async () => {
  await applyConnections("held", 1);
  await keystead.end();
  await forceAway("held-0");
  await objects.apply(connection("successor", parents, { credentials, connectionId: "held-0" }));

  keystead = installation.start("run");

  await objects.ready("connection/successor");
  expect(await deletedRows()).toEqual(["held-0"]);
});

test("a Connection made anew under the same name after its finalizer was forced off has another row", async () => {
  await applyConnections("twin", 1);
  const before = (await objects.get("connection/twin-0")).status?.["connectionId"];
  await keystead.end();
  await forceAway("twin-0");
  await objects.apply(connection("twin-0", parents, { credentials }));

  keystead = installation.start("run");

  await objects.ready("connection/twin-0");
  expect((await objects.get("connection/twin-0")).status?.["connectionId"]).not.toBe(before);
});

test("more than ten rows and five percent at once stop the sweep until they are confirmed", async () => {
  const names = await applyConnections("lost", 12);
  await keystead.end();
  await forceAway(...names);
  const before = await deletedRows();

  keystead = installation.start("run");

  await keystead.logged("too many resources are missing at once: nothing is deleted until it is confirmed");
  expect(await deletedRows()).toEqual(before);
  expect(await metric(keystead, "keystead_orphan_sweep_stopped")).toBe(1);
  expect(await metric(keystead, "keystead_orphaned_rows")).toBe(12);
  await eventually(async () => {
    const events = await objects.events("environment/production");
    expect(events.filter(({ reason }) => reason === "OrphanSweepStopped")).toEqual([
      {
        type: "Warning",
        reason: "OrphanSweepStopped",
        note: expect.stringMatching(
          /^The resources of 12 of \d+ stored rows are missing, .*keystead admin sweep --confirm/,
        ),
      },
    ]);
  });
  expect(await admin()).toContain("the resources of 12 of");

  expect(await admin("--confirm")).toContain("Confirmed");

  await eventually(async () => expect(await deletedRows()).toEqual([...before, ...names].toSorted()));
  await eventually(async () => expect(await metric(keystead, "keystead_orphan_sweep_stopped")).toBe(0));
  expect(await metric(keystead, "keystead_orphaned_rows_deleted_total")).toBe(12);
  await eventually(async () => expect(await admin()).toContain("No sweep is stopped"));
});

test("rows of namespaces, clusters and releases that are not watched are left alone", async () => {
  const before = await deletedRows();
  const names = await applyConnections("foreign", 3);
  await keystead.end();
  const columns = [
    "owner_namespace = 'elsewhere'",
    `owner_cluster = gen_random_uuid()::text`,
    "owner_release = 'other'",
  ];
  for (const [n, change] of columns.entries()) {
    await query(database.ownerUrl, `update keystead.connections set ${change} where connection_id = $1`, [names[n]]);
  }
  await forceAway(...names);
  await plantOrphan("marker");

  keystead = installation.start("run");

  await eventually(async () => expect(await deletedRows()).toEqual([...before, "marker-0"].toSorted()));
});

/** A row that the next sweep has to delete, so that its end is seen. */
async function plantOrphan(prefix: string): Promise<void> {
  await query(
    database.ownerUrl,
    `insert into keystead.connections (
       environment_id, connection_row_id, integration_id, connection_id, owner_cluster, owner_release, owner_namespace,
       owner_name, owner_uid, config_sealed, config_revision, metadata_declared, tags, declaration_digest, config_digest,
       rest_digest, sources
     )
     select environment_id, 'ffffffff-0000-7000-8000-000000000000', integration_id, $1, owner_cluster, owner_release,
            owner_namespace, $1, gen_random_uuid(), config_sealed, config_revision, metadata_declared, tags,
            declaration_digest, config_digest, rest_digest, sources
       from keystead.connections where connection_id = 'first-1'`,
    [`${prefix}-0`],
  );
}
