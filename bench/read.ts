import { join } from "node:path";
import { freePorts } from "../dev/processes/free-port.ts";
import type { BareTask } from "./support/bare-task.ts";
import { nodeArguments } from "./support/emitted.ts";
import {
  alternate,
  medianOf,
  medianRatio,
  ms,
  type Reading,
  READS,
  readFrom,
  startReading,
  type Turn,
  warmUp,
} from "./support/reading.ts";
import { whenServed } from "./support/served.ts";
import { type Contender, startApi } from "./support/stored-connections.ts";
import type { Findings, Table } from "./support/table.ts";

/** Rounds in which all servers have their turn, one after the other. */
const ROUNDS = 7;
const ROUND_SECONDS = 3;

export const read: Table = {
  name: "read",
  title: "Reading: GET /connections/:id",
  async run(): Promise<Findings> {
    await using reading = await startReading();
    const { children, database, stored } = reading;
    const unaudited = { name: "api-unaudited", environment: { KEYSTEAD_AUDIT_READS: "off" } };
    const servers = await Promise.all([
      startBare(reading, "connection"),
      startApi(children, database, stored),
      startApi(children, database, stored, unaudited),
      startBare(reading, "credentials"),
    ]);
    for (const server of servers) await warmUp(server, stored);
    const turns = servers.map((server) => () => readFrom(server, stored, { seconds: ROUND_SECONDS }));
    const [ofBare = [], ofOurs = [], ofUnaudited = [], ofLess = []] = await alternate(turns, ROUNDS);
    const ratioOf = (ours: readonly Turn[]): number =>
      medianRatio(ours, ofBare, ({ requestsPerSecond }) => requestsPerSecond);
    const audited = ratioOf(ofOurs);
    const unrecorded = ratioOf(ofUnaudited);
    const what = "requests a second against the bare server";
    return {
      rows: [
        ["server", "requests/s", "min-max", "against bare", "p50", "p99", "cores"],
        rowOf("node:http + SELECT + decrypt", ofBare, 1),
        rowOf("Keystead", ofOurs, audited),
        rowOf("Keystead, KEYSTEAD_AUDIT_READS=off", ofUnaudited, unrecorded),
        rowOf("node:http + SELECT + decrypt, the credentials alone", ofLess, ratioOf(ofLess)),
      ],
      checks: [
        { what: `${what}, reads recorded`, measured: audited, limit: { atLeast: 0.6 }, unit: "x" },
        { what: `${what}, reads not recorded`, measured: unrecorded, limit: { atLeast: 0.8 }, unit: "x" },
      ],
      method: [
        READS,
        "The bare server finds the same rows with one pipelined SELECT by their unique index, decrypts them and gives the same answer; it knows no keys, no routes and no audit. The last one leaves out all of the answer but the credentials. Keystead runs with its default settings: every read is authenticated, and recorded before it is answered. With `KEYSTEAD_AUDIT_READS=off` it is authenticated alone.",
        `${ROUNDS} rounds of ${ROUND_SECONDS} s each, all servers in turn in every round; a ratio is the median of the rounds'.`,
      ],
    };
  },
};

async function startBare({ children, database, stored }: Reading, answer: BareTask["answer"]): Promise<Contender> {
  const [port = 0] = await freePorts(1);
  const { encryptionKey, environmentId, integrationId } = stored;
  const task: BareTask = { port, answer, databaseUrl: database.url, encryptionKey, environmentId, integrationId };
  const { pid } = children.start({
    name: `bare-${answer}`,
    command: process.execPath,
    args: [...nodeArguments(), join(import.meta.dirname, "support", "bare-server.ts"), JSON.stringify(task)],
    stopPhase: 2,
  });
  await whenServed(`http://127.0.0.1:${port}/connections/${stored.names[0]}`);
  return { pid, port, request: (id) => `GET /connections/${id} HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n` };
}

function rowOf(name: string, turns: readonly Turn[], ratio: number): string[] {
  const rates = turns.map(({ requestsPerSecond }) => requestsPerSecond);
  return [
    name,
    medianOf(turns, ({ requestsPerSecond }) => requestsPerSecond).toFixed(0),
    `${Math.min(...rates).toFixed(0)}-${Math.max(...rates).toFixed(0)}`,
    `${ratio.toFixed(2)}x`,
    ms(medianOf(turns, ({ p50 }) => p50)),
    ms(medianOf(turns, ({ p99 }) => p99)),
    medianOf(turns, ({ cores }) => cores).toFixed(2),
  ];
}
