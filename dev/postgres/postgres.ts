import { existsSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { Client } from "pg";
import { KeysteadError } from "../../src/errors.ts";
import { lastLines } from "../processes/child-process.ts";
import type { Child } from "../processes/child-process.ts";
import type { ChildProcesses } from "../processes/child-processes.ts";
import { freePorts, portsInUse } from "../processes/free-port.ts";
import { readText, writeText } from "../state-file.ts";
import { openCluster, place } from "./postgres-cluster.ts";
import type { Cluster } from "./postgres-cluster.ts";

/** Where and how Postgres runs. */
export interface PostgresOptions {
  /** Data and password; a start with the same directory finds the data again. */
  readonly directory: string;
  readonly children: ChildProcesses;
  /** False leaves out every fsync: right only for data that nobody needs after this run. */
  readonly durable: boolean;
  readonly maxConnections: number;
}

/** A running server. */
export interface Postgres {
  /** URL of the superuser in the database `postgres`. */
  readonly superuserUrl: string;
  readonly part: Child;
}

/** Rounds of "another process took the port first"; each picks a new one, so more than two are a broken machine. */
const PORT_ROUNDS = 5;

/** After a SIGKILL of the server its own children notice within a moment; until then they hold the shared memory that it needs. */
const ORPHANS_DEADLINE_MS = 5_000;

/** Recovery after a SIGKILL replays at most one checkpoint's worth of log; the default 1 GB takes well under a minute. */
const READY_DEADLINE_MS = 60_000;

/**
 * Makes the cluster on the first call and starts Postgres on a free port of 127.0.0.1. Works as root (a system user then runs
 * it) and below folders that this user cannot enter. Throws `part_failed` with the server's last words.
 */
export async function startPostgres(options: PostgresOptions): Promise<Postgres> {
  const cluster = await openCluster(options.directory, options.durable);
  const wasKilled = existsSync(join(cluster.data, "postmaster.pid"));
  const orphansUntil = Date.now() + (wasKilled ? ORPHANS_DEADLINE_MS : 0);
  const portFile = join(options.directory, "port");
  for (let round = 1; ; round++) {
    const port = await choosePort(portFile);
    try {
      return await startOn(port, cluster, options);
    } catch (error) {
      const taken = (await portsInUse([port])).length > 0 && round < PORT_ROUNDS;
      if (!taken && Date.now() > orphansUntil) throw error;
      await delay(100);
    }
  }
}

async function choosePort(path: string): Promise<number> {
  const before = Number(readText(path) ?? 0);
  if (before > 0 && (await portsInUse([before])).length === 0) return before;
  const [port = 0] = await freePorts(1);
  writeText(path, String(port));
  return port;
}

async function startOn(port: number, cluster: Cluster, options: PostgresOptions): Promise<Postgres> {
  const { argument, cwd } = place(cluster.data, cluster.user);
  const settings: Record<string, string | number> = {
    port,
    listen_addresses: "127.0.0.1",
    unix_socket_directories: "",
    max_connections: options.maxConnections,
    lc_messages: "C",
    ...(options.durable ? {} : { fsync: "off", full_page_writes: "off" }),
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
