import { createBatcher } from "../db/batch.ts";
import { READ_LIMIT_MS } from "../db/connection-settings.ts";
import type { Database } from "../db/database.ts";
import { LANES } from "../db/read-lanes.ts";
import { readConnectionRows, TOO_LARGE, type ConnectionRead, type ConnectionReadRow } from "./connection-reads.ts";

/** Rows of one read; their answer, at 4 KiB each, is still read from the socket in a few pieces. */
const BATCH = 64;

/**
 * Bytes of one connection, sealed, that are read together with others: a full batch is then an answer of 2.7 MiB at most,
 * in base64, and delays the next by some milliseconds. A token has up to 4 KiB, and a private key less.
 */
const SMALL_BYTES = 32 * 1024;

/** Answers one question; what it resolves with is as `readConnectionRows` says. Rejects with a `database_*` error. */
export type ConnectionReader = (read: ConnectionRead) => Promise<ConnectionReadRow | undefined>;

/**
 * Reads of one moment share a statement. A second is in flight, on the other connection, while a whole batch waits or the
 * first is slow. A large connection is found that way, and then read again in a statement of its
 * own, of which there are two in flight as well: however many are asked for, two at a time are between the database and
 * their answers, and small ones pass by. While more wait than one statement takes, the keys take turns.
 *
 * @param recorded Whether reads are audit events. A large one is recorded when it is given, not when it is found.
 */
export function createConnectionReader(
  database: Pick<Database, "read">,
  { recorded }: { readonly recorded: boolean },
): ConnectionReader {
  const queued = {
    groupOf: ({ keyFingerprint }: ConnectionRead) => keyFingerprint,
    isLate: ({ askedAt }: ConnectionRead) => performance.now() - askedAt > READ_LIMIT_MS,
  };
  const readTogether = createBatcher({
    ...queued,
    maxSize: BATCH,
    maxInFlight: LANES,
    run: (reads: readonly ConnectionRead[]) => readConnectionRows(database, reads, { recorded, maxBytes: SMALL_BYTES }),
  });
  const readAlone = createBatcher({
    ...queued,
    maxSize: 1,
    maxInFlight: LANES,
    run: async (reads: readonly ConnectionRead[]) =>
      (await readConnectionRows(database, reads, { recorded })).filter((row) => row !== TOO_LARGE),
  });
  return async (read) => {
    const row = await readTogether(read);
    return row === TOO_LARGE ? readAlone(read) : row;
  };
}
