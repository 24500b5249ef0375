import { execFile } from "node:child_process";
import { randomBytes } from "node:crypto";
import { chownSync, existsSync, mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { promisify } from "node:util";
import { Client } from "pg";
import { KeysteadError } from "../../src/errors.ts";
import { lastLines } from "../processes/child-process.ts";
import type { Child } from "../processes/child-process.ts";
import type { ChildProcesses } from "../processes/child-processes.ts";
import { freePorts, portsInUse } from "../processes/free-port.ts";
import { findPostgres } from "./postgres-binaries.ts";
import { readText, writeText } from "../state-file.ts";
import { postgresUser } from "./system-user.ts";
import type { SystemUser } from "./system-user.ts";

export interface PostgresOptions {
  /** Data and password; a start with the same directory finds the data again. */
  readonly directory: string;
  readonly children: ChildProcesses;
  /** False leaves out every fsync: right only for data that nobody needs after this run. */
  readonly durable: boolean;
  readonly maxConnections: number;
}

export interface Postgres {
  /** URL of the superuser in the database `postgres`. */
  readonly superuserUrl: string;
  readonly part: Child;
}

const PORT_ROUNDS = 5;

/** Recovery after a SIGKILL replays at most one checkpoint's worth of log; the default 1 GB takes well under a minute. */
const READY_DEADLINE_MS = 60_000;

/**
 * Makes the cluster on the first call and starts Postgres on a free port of 127.0.0.1. Works as root (a system user then runs
 * it) and below folders that this user cannot enter.
 */
export async function startPostgres(options: PostgresOptions): Promise<Postgres> {
  const user = postgresUser();
  const programs = await findPostgres(user);
  mkdirSync(options.directory, { recursive: true, mode: 0o700 });
  const cluster: Cluster = {
    data: join(options.directory, "data"),
    password: keptPassword(join(options.directory, "superuser-password")),
    programs,
    user,
  };
  if (!existsSync(cluster.data)) await initialise(cluster, options.durable);

  const portFile = join(options.directory, "port");
  for (let round = 1; ; round++) {
    const port = await choosePort(portFile);
    try {
      return await startOn(port, cluster, options);
    } catch (error) {
      const taken = await portsInUse([port]);
      if (taken.length === 0 || round === PORT_ROUNDS) throw error;
    }
  }
}

interface Cluster {
  readonly data: string;
  readonly password: string;
  readonly programs: string;
  readonly user: SystemUser | undefined;
}

/** The password in the file; a random one on the first call. */
export function keptPassword(path: string): string {
  const kept = readText(path);
  if (kept !== undefined) return kept;
  const password = randomBytes(24).toString("base64url");
  writeText(path, password);
  return password;
}

async function choosePort(path: string): Promise<number> {
  const before = Number(readText(path) ?? 0);
  if (before > 0 && (await portsInUse([before])).length === 0) return before;
  const [port = 0] = await freePorts(1);
  writeText(path, String(port));
  return port;
}

/**
 * How Postgres is told of its data folder. As another user it may not be able to walk there from `/`, but it starts
 * inside: `spawn` changes into the folder while it is still root, and /proc/self/cwd is the folder itself, not a path to it.
 */
function place(data: string, user: SystemUser | undefined): { argument: string; cwd: string } {
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
  if (cluster.user)
    for (const path of [unfinished, secrets, passwordFile]) chownSync(path, cluster.user.uid, cluster.user.gid);

  const { argument, cwd } = place(unfinished, cluster.user);
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
    await promisify(execFile)(join(cluster.programs, "initdb"), flags, { cwd, ...cluster.user });
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

async function startOn(port: number, cluster: Cluster, options: PostgresOptions): Promise<Postgres> {
  const { argument, cwd } = place(cluster.data, cluster.user);
  const settings: Record<string, string | number> = {
    port,
    listen_addresses: "127.0.0.1",
    unix_socket_directories: "",
    max_connections: options.maxConnections,
    lc_messages: "C",
    ...(options.durable ? {} : { fsync: "off", synchronous_commit: "off", full_page_writes: "off" }),
  };
  const part = options.children.start({
    name: "postgres",
    command: join(cluster.programs, "postgres"),
    args: ["-D", argument, ...Object.entries(settings).flatMap(([name, value]) => ["-c", `${name}=${value}`])],
    cwd,
    ...cluster.user,
    // SIGTERM waits for clients to go by themselves; SIGINT ends their sessions and writes a checkpoint.
    stopSignal: "SIGINT",
    stopPhase: 1,
  });
  const superuserUrl = `postgres://postgres:${cluster.password}@127.0.0.1:${port}/postgres`;
  try {
    await ready(superuserUrl, part);
  } catch (error) {
    await part.stop();
    throw error;
  }
  return { superuserUrl, part };
}

async function ready(url: string, part: Child): Promise<void> {
  const ended = part.ended.then(() => "ended" as const);
  const deadline = Date.now() + READY_DEADLINE_MS;
  while (Date.now() < deadline) {
    const state = await Promise.race([ended, connects(url)]);
    if (state === true) return;
    if (state === "ended")
      throw new KeysteadError("part_failed", `postgres ended while it started:\n${lastLines(part)}`);
    await delay(20);
  }
  throw new KeysteadError(
    "part_failed",
    `postgres took no connection within ${READY_DEADLINE_MS / 1000} s. Its log is ${part.logFile}.`,
  );
}

async function connects(url: string): Promise<boolean> {
  const client = new Client({ connectionString: url, connectionTimeoutMillis: 5_000 });
  client.on("error", () => {});
  try {
    await client.connect();
    return true;
  } catch {
    // Refused while the server starts or recovers.
    return false;
  } finally {
    await client.end();
  }
}
