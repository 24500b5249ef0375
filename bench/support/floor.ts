// The bare loop that the controller is measured against, as a process of its own: node bench/support/floor.ts '<JSON of FloorTask>'
import { randomBytes, randomUUID } from "node:crypto";
import { setTimeout as delay } from "node:timers/promises";
import { Client } from "pg";
import { FINALIZER } from "../../src/controllers/metadata-names.ts";
import { createKubeClient } from "../../src/kube/client.ts";
import { addFinalizer } from "../../src/kube/finalizer.ts";
import { loadIdentity } from "../../src/kube/identity.ts";
import type { KubeObject } from "../../src/kube/object.ts";
import { resourcePath, SECRET } from "../../src/kube/resource-path.ts";
import { patchStatus } from "../../src/kube/status.ts";
import { CONNECTION } from "../../src/resources/kinds.ts";
import type { FloorResult, FloorTask } from "./floor-task.ts";
import { inParallel } from "./measure.ts";
import { listConnections, TOKEN_CHARACTERS } from "./population.ts";

/** As many as the client has connections by default. */
const IN_FLIGHT = 32;

const task: FloorTask = JSON.parse(process.argv[2] ?? "{}");
const identity = await loadIdentity({ kubeconfig: task.kubeconfig, env: {} });
await using client = createKubeClient(identity, { userAgent: "keystead-bench" });
const database = task.commitTo === undefined ? undefined : await openTable(task.commitTo);
const width = database ? 1 : IN_FLIGHT;

// Reading what there is to do is no part of the floor, nor is the login of its connections.
const objects = await listConnections(client, task.namespace);
await inParallel(Array.from({ length: width }), width, () => getSecretOf(objects[0]));

const each: number[] = [];
const startedAt = performance.now();
await inParallel(objects, width, async (object, index) => {
  if (task.everyMs !== undefined) await delay(Math.max(0, startedAt + index * task.everyMs - performance.now()));
  const beganAt = performance.now();
  await getSecretOf(object);
  await addFinalizer(client, CONNECTION, object, FINALIZER);
  await database?.commit();
  await patchStatus(client, CONNECTION, object, undefined, statusOf(object));
  each.push(performance.now() - beganAt);
});
const result: FloorResult = { milliseconds: performance.now() - startedAt, each };
await database?.end();
process.stdout.write(JSON.stringify(result));

async function getSecretOf(object: KubeObject | undefined): Promise<void> {
  const { name = "", namespace } = object?.metadata ?? {};
  await client.request({ method: "GET", path: resourcePath(SECRET, { namespace, name }) });
}

/** What the controller writes, to the letter. */
function statusOf({ metadata }: KubeObject): object {
  return {
    observedGeneration: metadata.generation,
    connectionId: metadata.uid,
    credentials: { type: "API_KEY" },
    conditions: [
      {
        type: "Ready",
        status: "True",
        observedGeneration: metadata.generation,
        lastTransitionTime: new Date().toISOString().replace(/\.\d+/, ""),
        reason: "Succeeded",
        message: "The credentials are stored and served.",
      },
    ],
  };
}

/** A table with a key and bytes as long as a sealed credential, and the cheapest statement that commits a row to it. */
async function openTable(url: string): Promise<{ commit(): Promise<void>; end(): Promise<void> }> {
  const connection = new Client({ connectionString: url });
  await connection.connect();
  await connection.query("create table if not exists public.floor (id uuid primary key, sealed bytea not null)");
  const insert = { name: "insert", text: "insert into public.floor (id, sealed) values ($1, $2)" };
  return {
    commit: async () =>
      void (await connection.query({ ...insert, values: [randomUUID(), randomBytes(TOKEN_CHARACTERS)] })),
    end: () => connection.end(),
  };
}
