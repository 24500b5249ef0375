import { existsSync, mkdirSync, statfsSync } from "node:fs";
import { join } from "node:path";
import { KeysteadError } from "../src/errors.ts";
import { tryLock } from "./processes/lock-file.ts";
import { endLeftovers } from "./processes/process-record.ts";

/** The folder of one workbench, held by this process until it is released. */
export interface DataDirectory {
  readonly path: string;
  /** Names of processes that an earlier start had left running and that were ended now. */
  readonly ended: readonly string[];
  release(): void;
}

/** A first start writes 170 MB: etcd's preallocated log, Postgres's first cluster. A later one needs room to breathe. */
const FIRST_START_BYTES = 200 * 1024 * 1024;
const LATER_START_BYTES = 20 * 1024 * 1024;

/**
 * Makes the folder, takes its lock and ends what an earlier start left running there. Throws `directory_in_use` while another
 * start holds it, `disk_full`, or `configuration_invalid` when it cannot be made.
 */
export async function openDataDirectory(path: string): Promise<DataDirectory> {
  try {
    mkdirSync(path, { recursive: true, mode: 0o700 });
    checkSpace(path);
    const attempt = tryLock(join(path, "lock"));
    if ("heldBy" in attempt) {
      const advice = "Stop it first, or choose another folder with --data-dir.";
      throw new KeysteadError("directory_in_use", `${path} is in use by process ${attempt.heldBy}. ${advice}`);
    }
    return { path, ended: await endLeftovers(path), release: () => attempt.lock.release() };
  } catch (error) {
    if (error instanceof KeysteadError) throw error;
    throw diskFull(path) ?? unusable(path, error);
  }
}

/** The error to show in place of another one when the disk has run full meanwhile; whatever failed then failed of that. */
export function diskFull(path: string, freeBytes = 1024 * 1024): KeysteadError | undefined {
  const free = bytesFree(path);
  if (free === undefined || free >= freeBytes) return undefined;
  return new KeysteadError(
    "disk_full",
    `The disk that holds ${path} is full: ${megabytes(free)} MB are left. Free some space (a first start needs ${megabytes(FIRST_START_BYTES)} MB) and start again.`,
  );
}

function megabytes(bytes: number): number {
  return Math.floor(bytes / 1024 / 1024);
}

function checkSpace(path: string): void {
  const full = diskFull(path, existsSync(join(path, "database-url")) ? LATER_START_BYTES : FIRST_START_BYTES);
  if (full) throw full;
}

function bytesFree(path: string): number | undefined {
  try {
    const { bavail, bsize } = statfsSync(path);
    return bavail * bsize;
  } catch {
    // The folder was never made, so the disk is not what is wrong.
    return undefined;
  }
}

function unusable(path: string, cause: unknown): KeysteadError {
  const said = cause instanceof Error ? cause.message : String(cause);
  return new KeysteadError("configuration_invalid", `The data folder ${path} cannot be used: ${said}`, { cause });
}
