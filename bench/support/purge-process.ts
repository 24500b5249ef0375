// One turn of the purger, as a process of its own: node bench/support/purge-process.ts '<JSON of PurgeTask>'
// The product's own purger; only its transactions are timed, from the begin to the answer to the commit.
import { Secret } from "../../src/crypto/secret.ts";
import { openDatabase } from "../../src/db/database.ts";
import { createPurger } from "../../src/workers/purger.ts";
import type { PurgeResult, PurgeTask } from "./purge-task.ts";

const task: PurgeTask = JSON.parse(process.argv[2] ?? "{}");
await using database = openDatabase({ url: new Secret(task.databaseUrl), applicationName: "keystead bench purge" });
const milliseconds: number[] = [];

async function timed<T>(work: () => Promise<T>): Promise<T> {
  const startedAt = performance.now();
  try {
    return await work();
  } finally {
    milliseconds.push(performance.now() - startedAt);
  }
}

const purged = { environment: 0, integration: 0, connection: 0 };
const purger = createPurger(
  {
    database: {
      read: (statement, values) => database.read(statement, values),
      query: (text, values) => timed(() => database.query(text, values)),
      transaction: (work) => timed(() => database.transaction(work)),
    },
  },
  { purged: (kind, rows) => void (purged[kind] += rows), upcoming: () => undefined },
);
// Its first connection is no part of the first transaction.
await database.ping();
const startedAt = performance.now();
await purger.run(new AbortController().signal);
const result: PurgeResult = {
  seconds: (performance.now() - startedAt) / 1_000,
  connections: purged.connection,
  transactions: milliseconds.length,
  longestMilliseconds: Math.max(...milliseconds),
};
process.stdout.write(JSON.stringify(result));
