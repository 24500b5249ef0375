import { accessSync, constants, statfsSync } from "node:fs";

/** Where Linux keeps files in memory. */
const MEMORY = "/dev/shm";

/** The log of Postgres alone may have 1 GB (`max_wal_size`); databases and data directories come on top. */
const ENOUGH_BYTES = 4 * 1024 ** 3;

/**
 * A folder for files that nobody needs after the run, in memory where there is room: the copies of databases that the tests
 * make would cost a disk's file system as much processor time as all that is done in them. Undefined elsewhere.
 */
export function memoryDirectory(): string | undefined {
  try {
    accessSync(MEMORY, constants.W_OK);
    const { bavail, bsize } = statfsSync(MEMORY);
    return bavail * bsize >= ENOUGH_BYTES ? MEMORY : undefined;
  } catch {
    // Another system, or a container without it.
    return undefined;
  }
}
