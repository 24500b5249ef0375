import { execFile } from "node:child_process";
import { randomBytes } from "node:crypto";
import { chownSync, existsSync, mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { KeysteadError } from "../../src/errors.ts";
import { readText, writeText } from "../state-file.ts";
import { findPostgres } from "./postgres-binaries.ts";
import { postgresUser } from "./system-user.ts";
import type { SystemUser } from "./system-user.ts";

/** A made cluster and what it takes to start it. */
export interface Cluster {
  readonly data: string;
  readonly password: string;
  /** Folder with `initdb` and `postgres`. */
  readonly programs: string;
  /** Undefined: whoever runs this. */
  readonly user: SystemUser | undefined;
}

/** The cluster of a folder; made on the first call. Throws `part_failed` with what initdb said. */
export async function openCluster(directory: string, durable: boolean): Promise<Cluster> {
  const user = postgresUser();
  const programs = await findPostgres(user);
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  const password = keptPassword(join(directory, "superuser-password"));
  const cluster: Cluster = { data: join(directory, "data"), password, programs, user };
  if (!existsSync(cluster.data)) await initialise(cluster, durable);
  return cluster;
}

/** The password in the file; a random one on the first call. */
export function keptPassword(path: string): string {
  const kept = readText(path);
  if (kept !== undefined) return kept;
  const password = randomBytes(24).toString("base64url");
  writeText(path, password);
  return password;
}

/**
 * How Postgres is told of its data folder. As another user it may not be able to walk there from `/`, but it starts
 * inside: `spawn` changes into the folder while it is still root, and /proc/self/cwd is the folder itself, not a path to it.
 */
export function place(data: string, user: SystemUser | undefined): { argument: string; cwd: string } {
  return { argument: user && existsSync("/proc/self/cwd") ? "/proc/self/cwd" : data, cwd: data };
}

async function initialise(cluster: Cluster, durable: boolean): Promise<void> {
  const unfinished = `${cluster.data}.unfinished`;
  rmSync(unfinished, { recursive: true, force: true });
  mkdirSync(unfinished, { mode: 0o700 });
  // initdb reads the password from a file only; a folder of its own in the temporary directory is what every user can reach.
  const secrets = mkdtempSync(join(tmpdir(), "keystead-initdb-"));
  const passwordFile = join(secrets, "password");
  writeFileSync(passwordFile, cluster.password, { mode: 0o600 });
  const { user } = cluster;
  if (user) for (const path of [unfinished, secrets, passwordFile]) chownSync(path, user.uid, user.gid);

  const { argument, cwd } = place(unfinished, user);
  const flags = [
    `--pgdata=${argument}`,
    "--username=postgres",
    `--pwfile=${passwordFile}`,
    "--auth=scram-sha-256",
    "--encoding=UTF8",
    // Postgres' own C.UTF-8: which locales the machine has does not matter, nor do two machines sort differently.
    "--locale=C",
    "--locale-provider=builtin",
    "--builtin-locale=C.UTF-8",
    ...(durable ? [] : ["--no-sync"]),
  ];
  try {
    await promisify(execFile)(join(cluster.programs, "initdb"), flags, { cwd, ...user });
    renameSync(unfinished, cluster.data);
  } catch (error) {
    const said = error instanceof Error && "stderr" in error ? String(error.stderr).trim() : String(error);
    throw new KeysteadError("part_failed", `Postgres could not make its data folder ${cluster.data}: ${said}`, {
      cause: error,
    });
  } finally {
    rmSync(secrets, { recursive: true, force: true });
  }
}
