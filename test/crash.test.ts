import { afterAll, expect, onTestFailed, test } from "vitest";
import { query } from "./support/database.ts";
import { eventually } from "./support/eventually.ts";
import { createInstallation } from "./support/keystead.ts";
import type { KeysteadProcess } from "./support/keystead-process.ts";
import { kstatusOf } from "./support/kstatus.ts";
import { canary } from "./support/leaks.ts";
import { connection, environment, integration, secret } from "./support/resources.ts";

// kill -9 of the controller at any moment loses nothing and does nothing twice.

const CONNECTIONS = 500;
const KILLS = 5;
/** Twenty seconds are usual; a machine that does much else at once shall not fail this. */
const PATIENCE_MS = 180_000;

const installation = await createInstallation("crash");
const { objects, history, database } = installation;
afterAll(() => installation[Symbol.asyncDispose]());

/** With leader election each successor would wait 15 s for the lease of the dead one. */
function startController(): KeysteadProcess {
  return installation.start("controller", { KEYSTEAD_LEADER_ELECTION: "false" });
}

/** Numbers from 0 to 1 that follow from the seed (mulberry32), so that a failed run can be run again. */
function randomFrom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

test(
  `a controller that is killed ${KILLS} times while ${CONNECTIONS} Connections are made leaves all Ready, each written once`,
  { timeout: PATIENCE_MS },
  async () => {
    const seed = Date.now();
    const random = randomFrom(seed);
    onTestFailed(() => console.error(`the moments of the kills follow from seed ${seed}`));
    const parents = { environment: "production", integration: "stripe" };
    const token = canary("token");
    const names = Array.from({ length: CONNECTIONS }, (_, index) => `c-${index}`);

    const created = Promise.all([
      objects.apply(environment("production"), integration("stripe", "production")),
      ...names.map((name) => objects.apply(secret(name, { token: `${token}-${name}` }), connection(name, parents))),
    ]);
    for (let kill = 0; kill < KILLS; kill += 1) {
      const controller = startController();
      await controller.logged("the API server answers");
      // A Connection has three versions: as it was made, with the finalizer, and Ready.
      const left = 3 * CONNECTIONS - history.count;
      await history.reached(history.count + Math.floor((random() * left) / 3));
      await controller.end("SIGKILL");
    }
    await created;
    startController();

    await eventually(
      () => {
        const states = names.map((name) => history.of(`connection/${name}`).at(-1)).map((one) => one && kstatusOf(one));
        expect(states.filter((state) => state !== "Current")).toEqual([]);
      },
      { deadlineMs: PATIENCE_MS },
    );
    const [rows] = await query(
      database.ownerUrl,
      `select count(*)::int as rows, count(distinct owner_uid)::int as resources, count(distinct connection_id)::int as ids,
            max(revision)::int as revision, count(deleted_at)::int as deleted
       from keystead.connections`,
    );
    expect(rows).toEqual({
      rows: CONNECTIONS,
      resources: CONNECTIONS,
      ids: CONNECTIONS,
      revision: 1,
      deleted: 0,
    });
    const audited = await query(
      database.ownerUrl,
      `select action, count(*)::int as events, count(distinct target_id)::int as targets
       from keystead.audit_events group by action order by action`,
    );
    expect(audited).toEqual([
      { action: "connection.created", events: CONNECTIONS, targets: CONNECTIONS },
      { action: "environment.created", events: 1, targets: 1 },
      { action: "integration.created", events: 1, targets: 1 },
    ]);
  },
);

test("what the status says is what is stored", async () => {
  const rows = await query<{ owner_uid: string; connection_row_id: string }>(
    database.ownerUrl,
    "select owner_uid, connection_row_id from keystead.connections",
  );
  const stored = new Map(rows.map((row) => [row.owner_uid, row.connection_row_id]));

  const told = [...history.byUid].filter(([uid]) => stored.has(uid));
  expect(told).toHaveLength(CONNECTIONS);
  for (const [uid, versions] of told) expect(versions.at(-1)?.status?.["connectionId"]).toBe(stored.get(uid));
});
