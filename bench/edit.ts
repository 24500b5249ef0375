import { setTimeout as delay } from "node:timers/promises";
import { KeysteadError } from "../src/errors.ts";
import type { Arena } from "./support/arena.ts";
import { startController } from "./support/controller-process.ts";
import { openHttpClient, type HttpClient } from "./support/http-client.ts";
import { whenIdle } from "./support/idle.ts";
import { quantile } from "./support/measure.ts";
import {
  createConnections,
  createNamespace,
  createParents,
  editSecret,
  namesOf,
  newToken,
  releaseConnections,
  whenSecretKey,
} from "./support/population.ts";
import { progress } from "./support/progress.ts";
import { watchReady } from "./support/ready-watch.ts";
import { createSchedule, latencyOf } from "./support/schedule.ts";
import { POPULATION } from "./support/session.ts";
import { startApi, type Contender } from "./support/stored-connections.ts";
import type { Findings, Table } from "./support/table.ts";

const NAMESPACE = "edits";
const EDITS = 600;
const EDITS_A_SECOND = 10;

/** The first ones find cold code in both processes, which were just started. */
const WARM_UP = 20;

/** Between an answer with the old value and the next request. The figures are too large by up to this and one answer. */
const ASK_AGAIN_MS = 5;

const PATIENCE_MS = 60_000;

export const edit: Table = {
  name: "edit",
  title: "A Secret edited, until the API serves the new value",
  async run(session): Promise<Findings> {
    const arena = await session.settledArena();
    progress("Connections whose Secrets are edited");
    const waits = await measure(arena);
    const [p50, p99, worst] = [0.5, 0.99, 1].map((share) => quantile(waits, share));
    return {
      rows: [
        ["edits", "p50", "p99", "worst"],
        [String(waits.length), ...[p50, p99, worst].map((wait) => `${wait?.toFixed(1)} ms`)],
      ],
      checks: [
        {
          what: "edit to served, the worst",
          measured: (worst ?? Number.NaN) / 1_000,
          limit: { under: 1 },
          unit: " s",
        },
      ],
      method: [
        `Beside ${POPULATION.toLocaleString("en")} settled Connections, ${EDITS_A_SECOND} edits a second, each of another Secret. From when the edit was due, or sent, until the last byte of the first answer of \`GET /connections/:id\` with the new value.`,
        `The API is a process of its own, asked over a connection for each edit again ${ASK_AGAIN_MS} ms after every answer with the old value; so the figures are too large by up to that and one answer.`,
      ],
    };
  },
};

/** Milliseconds that each edit took. */
async function measure(arena: Arena): Promise<readonly number[]> {
  const { admin } = arena;
  const names = namesOf("edited", EDITS + WARM_UP);
  await createNamespace(admin, NAMESPACE);
  await createParents(admin, NAMESPACE);
  await createConnections(admin, NAMESPACE, names);
  const controller = await startController(arena);
  const { encryptionKey, children, database } = arena;
  const secretKey = await whenSecretKey(admin, NAMESPACE);
  await whenAllReady(arena, names);
  await whenIdle(controller, admin);
  const api = await startApi(children, database, { encryptionKey, secretKey });
  progress(`${EDITS} edits, ${EDITS_A_SECOND} a second`);
  const nextDueAt = createSchedule(performance.now(), EDITS_A_SECOND);
  const waits = await Promise.all(names.map((name) => editAndRead(arena, api, name, nextDueAt())));
  await api.stop();
  await releaseConnections(admin, NAMESPACE);
  await controller.child.stop();
  return waits.slice(WARM_UP);
}

async function whenAllReady({ admin }: Arena, names: readonly string[]): Promise<void> {
  await using watch = await watchReady(admin, NAMESPACE);
  await Promise.all(names.map((name) => watch.whenReady(name)));
}

async function editAndRead({ admin }: Arena, api: Contender, name: string, dueAt: number): Promise<number> {
  await delay(Math.max(0, dueAt - performance.now()));
  using client = openHttpClient({ host: "127.0.0.1", port: api.port });
  const token = newToken();
  const sentAt = performance.now();
  await editSecret(admin, NAMESPACE, name, token);
  const answeredAt = await whenServes(client, api.request(name), token);
  return latencyOf({ dueAt, sentAt, answeredAt });
}

/** Asks until the answer has the token and resolves with the `performance.now()` at which it came. */
async function whenServes(client: HttpClient, request: string, token: string): Promise<number> {
  for (const giveUpAt = performance.now() + PATIENCE_MS; performance.now() < giveUpAt; await delay(ASK_AGAIN_MS)) {
    const { status, bytes } = await client.ask(request);
    if (status !== 200)
      throw new KeysteadError("part_failed", `A read was answered with ${bytes.toString("utf8").slice(0, 500)}`);
    if (bytes.includes(token)) return performance.now();
  }
  throw new KeysteadError("part_failed", `An edit was not served within ${PATIENCE_MS / 1_000} s`);
}
