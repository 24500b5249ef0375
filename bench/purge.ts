import { execFile } from "node:child_process";
import { join } from "node:path";
import { promisify } from "node:util";
import { Client } from "pg";
import { createChildProcesses } from "../dev/processes/child-processes.ts";
import { makeScratchDirectory } from "../dev/processes/scratch-directory.ts";
import { startMigratedDatabase } from "./support/arena.ts";
import { nodeArguments } from "./support/emitted.ts";
import { runLoad, type LoadResult } from "./support/load.ts";
import { progress } from "./support/progress.ts";
import type { PurgeResult, PurgeTask } from "./support/purge-task.ts";
import { type Contender, fill, startApi, type Stored } from "./support/stored-connections.ts";
import type { Findings, Table } from "./support/table.ts";

/** Living connections, which are read. */
const CONNECTIONS = 10_000;
const CLIENTS = 8;
/** Between an answer and the client's next request: applications ask now and then, not as fast as they can. */
const THINK_MS = 10;
/** How long is read without a purge, before and after it. */
const QUIET_SECONDS = 20;
const WARM_UP_SECONDS = 5;

/** Length of the sealed credential of each deleted row. */
const CREDENTIAL_BYTES = 4_096;
/** Rows of one insert while the table is filled. */
const INSERT_BATCH = 10_000;

const FILE = join(import.meta.dirname, "support", "purge-process.ts");

export const purge: Table = {
  name: "purge",
  title: "Purging while readers read",
  async run({ purgeRows }): Promise<Findings> {
    const directory = await makeScratchDirectory();
    await using children = createChildProcesses(directory, true);
    const database = await startMigratedDatabase(directory, children);
    progress(`storing ${CONNECTIONS} connections, and ${purgeRows} deleted ones beside them`);
    const stored = await fill(database, CONNECTIONS);
    const sizes: Size[] = [];
    const owner = new Client({ connectionString: database.ownerUrl });
    await owner.connect();
    try {
      await insertDeleted(owner, stored, purgeRows);
      sizes.push(await sizeOf(owner, "before"));
      const api = await startApi(children, database, stored);
      await read(api, stored, { seconds: WARM_UP_SECONDS });
      const before = await read(api, stored, { seconds: QUIET_SECONDS });
      await owner.query("update keystead.environments set retention_seconds = 60");
      progress("purging");
      const [during, purged] = await readDuring(api, stored, () => purgeIn(database));
      const after = await read(api, stored, { seconds: QUIET_SECONDS });
      sizes.push(await sizeOf(owner, "after the purge"));
      await owner.query("vacuum keystead.connections");
      sizes.push(await sizeOf(owner, "after a vacuum"));
      await owner.query("update keystead.environments set retention_seconds = 86400");
      await insertDeleted(owner, stored, purgeRows);
      sizes.push(await sizeOf(owner, "with as many new rows"));
      return findings({ before, during, after, purged, sizes, purgeRows });
    } finally {
      await owner.end();
    }
  },
};

/** Deleted ten minutes ago, and due as soon as the retention is shorter than that. */
async function insertDeleted(owner: Client, { environmentId, integrationId }: Stored, rows: number): Promise<void> {
  // A ciphertext cannot be compressed, and Postgres stores it so after a vain attempt; these bytes could be, and may not.
  await owner.query("alter table keystead.connections alter credentials_sealed set storage external");
  for (let first = 0; first < rows; first += INSERT_BATCH) {
    await owner.query(
      `insert into keystead.connections (
         environment_id, connection_row_id, integration_id, connection_id, credentials_type, credentials_sealed,
         credentials_revision, config_sealed, config_revision, metadata_declared, tags, declaration_digest, config_digest,
         rest_digest, sources, deleted_at, deletion_id
       )
       select $1, gen_random_uuid(), $2, 'deleted-' || n, 'API_KEY',
              sealed.head || convert_to(repeat('x', ${CREDENTIAL_BYTES} - length(sealed.head)), 'UTF8'),
              1, '\\x00', 1, false, '{"team": "sales"}', repeat('d', 44), repeat('c', 44),
              repeat('r', 44), '[]', now() - interval '10 minutes', gen_random_uuid()
         from generate_series($3::int, $4::int) n,
              -- Version and data key: no other is accepted.
              (select substr(credentials_sealed, 1, 17) as head from keystead.connections where environment_id = $1 limit 1) sealed`,
      [environmentId, integrationId, first + 1, Math.min(first + INSERT_BATCH, rows)],
    );
    if (first % 100_000 === 0 && first > 0) progress(`${first} rows`);
  }
  // As it would have been long before the retention ends.
  await owner.query("vacuum analyze keystead.connections");
}

interface Size {
  readonly when: string;
  /** Megabytes of the table with its TOAST table, and of the indexes of both. */
  readonly table: number;
  readonly indexes: number;
  readonly deadRows: number;
}

async function sizeOf(owner: Client, when: string): Promise<Size> {
  const { rows } = await owner.query<{ table: string; indexes: string; dead: string }>(
    `select pg_table_size('keystead.connections') - toast_indexes as table,
            pg_indexes_size('keystead.connections') + toast_indexes as indexes,
            pg_stat_get_dead_tuples('keystead.connections'::regclass) as dead
       from (select pg_indexes_size(reltoastrelid) as toast_indexes from pg_class where oid = 'keystead.connections'::regclass) t`,
  );
  const [row] = rows;
  return {
    when,
    table: Number(row?.table) / 1e6,
    indexes: Number(row?.indexes) / 1e6,
    deadRows: Number(row?.dead),
  };
}

/** Reads living connections at random, for a time or until `signal` fires. */
function read(
  api: Contender,
  { names }: Stored,
  { seconds = Infinity, signal }: { readonly seconds?: number; readonly signal?: AbortSignal },
): Promise<LoadResult> {
  return runLoad({
    host: "127.0.0.1",
    port: api.port,
    clients: CLIENTS,
    seconds,
    thinkMs: THINK_MS,
    next: () => api.request(names[Math.floor(Math.random() * names.length)] ?? ""),
    ...(signal && { signal }),
  });
}

async function readDuring<T>(api: Contender, stored: Stored, work: () => Promise<T>): Promise<[LoadResult, T]> {
  const over = new AbortController();
  const reading = read(api, stored, { signal: over.signal });
  const done = await work();
  over.abort();
  return [await reading, done];
}

async function purgeIn({ url }: { readonly url: string }): Promise<PurgeResult> {
  const task: PurgeTask = { databaseUrl: url };
  const args = [...nodeArguments(), FILE, JSON.stringify(task)];
  const { stdout } = await promisify(execFile)(process.execPath, args);
  return JSON.parse(stdout);
}

interface Measured {
  readonly before: LoadResult;
  readonly during: LoadResult;
  readonly after: LoadResult;
  readonly purged: PurgeResult;
  readonly sizes: readonly Size[];
  readonly purgeRows: number;
}

function findings({ before, during, after, purged, sizes, purgeRows }: Measured): Findings {
  const rows = purgeRows.toLocaleString("en");
  const quiet = (before.p99 + after.p99) / 2;
  return {
    rows: [
      ["", "measured"],
      rowOf("reading before the purge", before),
      rowOf("reading during the purge", during),
      rowOf("reading after the purge", after),
      [
        "rows purged",
        `${purged.connections} in ${purged.seconds.toFixed(1)} s: ${(purged.connections / purged.seconds).toFixed(0)} a second`,
      ],
      ["transactions", `${purged.transactions}, the longest ${purged.longestMilliseconds.toFixed(1)} ms`],
      ...sizes.map(({ when, table, indexes, deadRows }) => [
        `size ${when}`,
        `table ${table.toFixed(0)} MB, indexes ${indexes.toFixed(0)} MB, ${deadRows} dead rows`,
      ]),
    ],
    checks: [
      { what: "rows left that were due", measured: purgeRows - purged.connections, limit: { atMost: 0 }, unit: "" },
      {
        what: "p99 of reads during the purge against without",
        measured: during.p99 / quiet,
        limit: { atMost: 1.5 },
        unit: "x",
      },
      {
        what: "longest transaction of the purge",
        measured: purged.longestMilliseconds,
        limit: { atMost: 200 },
        unit: " ms",
      },
    ],
    method: [
      `${rows} deleted connections with sealed credentials of 4 KiB, in one environment and integration with ${CONNECTIONS.toLocaleString("en")} living ones, all deleted at the same instant. \`--purge-rows N\` sets the number; the default of 100,000 ends within two minutes, a million takes about ten times as long.`,
      `${CLIENTS} clients read living connections at random from one API process, each ${THINK_MS} ms after its last answer: ${QUIET_SECONDS} s before, for as long as the purge takes, and ${QUIET_SECONDS} s after; "without" is the mean of the p99 before and after. Readers, API, purger and Postgres share the cores.`,
      "The purger is the product's, in a process of its own; its transactions are timed from begin to the answer to the commit, with the round trips. It rests as long as each batch took.",
      "Sizes are those of the table with its TOAST table, and of all their indexes. What a purge removes is free for new rows after a vacuum, which autovacuum does by itself and which gives back to the disk what stands at the end of the files; the last line shows what they have grown to when as many rows are stored again.",
    ],
  };
}

function rowOf(what: string, { requestsPerSecond, p50, p99 }: LoadResult): string[] {
  return [what, `${requestsPerSecond.toFixed(0)} requests/s, p50 ${p50.toFixed(2)} ms, p99 ${p99.toFixed(2)} ms`];
}
