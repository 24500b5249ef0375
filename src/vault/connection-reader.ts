import { createBatcher } from "../db/batch.ts";
import { READ_LIMIT_MS } from "../db/connection-settings.ts";
import type { Database } from "../db/database.ts";
import { LANES } from "../db/read-lanes.ts";
import {
  readConnectionRows,
  TOO_LARGE,
  UNLIMITED_BYTES,
  type ConnectionRead,
  type ConnectionReadRow,
} from "./connection-reads.ts";
import { readProxiedRows, type ProxiedRow } from "./proxied-reads.ts";

/** Rows of one read; their answer, at 4 KiB each, is still read from the socket in a few pieces. */
const BATCH = 64;

/**
 * Bytes of one connection, sealed, that are read together with others: a full batch is then an answer of 2.7 MiB at most,
 * in base64, and delays the next by some milliseconds. A token has up to 4 KiB, and a private key less.
 */
const SMALL_BYTES = 32 * 1024;

/**
 * Answers one question; what it resolves with is as `readConnectionRows` or `readProxiedRows` says. Rejects with a
 * `database_*` error.
 */
export type ConnectionReader<Row = ConnectionReadRow> = (read: ConnectionRead) => Promise<Row | undefined>;

/** Answers questions of one moment: in their order, `TOO_LARGE` for what has more than `maxBytes` sealed in it. */
type ReadRows<Row extends object> = (
  reads: readonly ConnectionRead[],
  maxBytes: number,
) => Promise<readonly (Row | typeof TOO_LARGE | undefined)[]>;

/** For reads. @param recorded Whether they are audit events. A large one is recorded when it is given, not when it is found. */
export function createConnectionReader(
  database: Pick<Database, "read">,
  { recorded }: { readonly recorded: boolean },
): ConnectionReader {
  return createReader((reads, maxBytes) => readConnectionRows(database, reads, { recorded, maxBytes }));
}

/** For proxied calls, which are always audit events. */
export function createProxiedReader(database: Pick<Database, "read">): ConnectionReader<ProxiedRow> {
  return createReader((reads, maxBytes) => readProxiedRows(database, reads, maxBytes));
}

/**
 * Reads of one moment share a statement. A second is in flight, on the other connection, while a whole batch waits or the
 * first is slow. A large connection is found that way, and then read again in a statement of its own, of which there are
 * two in flight as well: however many are asked for, two at a time are between the database and their answers, and small
 * ones pass by. While more wait than one statement takes, the keys take turns.
 */
function createReader<Row extends object>(readRows: ReadRows<Row>): ConnectionReader<Row> {
  const queued = {
    maxInFlight: LANES,
    groupOf: ({ keyFingerprint }: ConnectionRead) => keyFingerprint,
    isLate: ({ askedAt }: ConnectionRead) => performance.now() - askedAt > READ_LIMIT_MS,
  };
  const readTogether = createBatcher({
    ...queued,
    maxSize: BATCH,
    run: (reads: readonly ConnectionRead[]) => readRows(reads, SMALL_BYTES),
  });
  const readAlone = createBatcher({
    ...queued,
    maxSize: 1,
    run: async (reads: readonly ConnectionRead[]) =>
      (await readRows(reads, UNLIMITED_BYTES)).filter((row) => row !== TOO_LARGE),
  });
  return async (read) => {
    const row = await readTogether(read);
    return row === TOO_LARGE ? readAlone(read) : row;
  };
}
