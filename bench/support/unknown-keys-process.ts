// Clients with well-formed keys that no environment has, as a process of their own, forked with the JSON of UnknownKeysTask.
// Says when they have begun, goes on until it gets a message, and then sends an UnknownKeysResult.
import { randomInt } from "node:crypto";
import { once } from "node:events";
import { generateToken } from "../../src/crypto/token.ts";
import { KeysteadError } from "../../src/errors.ts";
import { openHttpClient, type HttpAnswer } from "./http-client.ts";
import { readRequest } from "./stored-connections.ts";
import type { UnknownKeysResult, UnknownKeysTask } from "./unknown-keys-task.ts";

/** Keys that take turns. Made beforehand, as each takes longer than to send it. */
const KEYS = 5_000;

/** Answers after which the clients are at it: a single address has used up its answers of 401 by then. */
const BEGUN_AFTER = 1_000;

/** Everything in 127.0.0.0/8 is loopback; which addresses were taken before is not known, so each process begins somewhere. */
const FIRST_ADDRESS = (127 << 24) + randomInt(1 << 16, 200 << 16);

const task: UnknownKeysTask = JSON.parse(process.argv[2] ?? "{}");
const requests = Array.from({ length: KEYS }, () =>
  readRequest("connection-000000", generateToken("secret-key").reveal()),
);
const answers = { all: 0, tooMany: 0 };
let begunAt = 0;
let asked = 0;
let addresses = 0;
const stop = new AbortController();
process.on("disconnect", () => process.exit());
const clients = Promise.all(Array.from({ length: task.clients }, runClient));
await Promise.race([once(process, "message"), clients]);
stop.abort();
const counted = answers.all - BEGUN_AFTER;
const result: UnknownKeysResult = {
  answersPerSecond: counted / ((performance.now() - begunAt) / 1_000),
  tooMany: answers.tooMany / counted,
};
await clients;
process.send?.(result);

async function runClient(): Promise<void> {
  while (!stop.signal.aborted) {
    using client = openHttpClient({ host: "127.0.0.1", port: task.port, localAddress: nextAddress() });
    for (let left = task.requestsOfAddress ?? Infinity; left > 0 && !stop.signal.aborted; left -= 1) {
      asked += 1;
      count(await client.ask(requests[asked % KEYS] ?? ""));
    }
  }
}

function nextAddress(): string {
  const address = FIRST_ADDRESS + addresses;
  if (task.requestsOfAddress !== null) addresses += 1;
  return [24, 16, 8, 0].map((shift) => (address >>> shift) & 255).join(".");
}

function count({ status, bytes }: HttpAnswer): void {
  if (status !== 401 && status !== 429) {
    throw new KeysteadError("part_failed", `An unknown key was answered with ${bytes.toString("utf8").slice(0, 500)}`);
  }
  answers.all += 1;
  if (answers.all === BEGUN_AFTER) {
    begunAt = performance.now();
    process.send?.("begun");
  } else if (answers.all > BEGUN_AFTER && status === 429) answers.tooMany += 1;
}
