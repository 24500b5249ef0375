import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { loadConfig } from "../src/config.ts";
import { KeysteadError } from "../src/errors.ts";
import { lastLines } from "./processes/child-process.ts";
import type { Child } from "./processes/child-process.ts";
import type { ChildProcesses } from "./processes/child-processes.ts";
import { freePorts, portsInUse } from "./processes/free-port.ts";
import { CONTROLLER_NAMESPACE } from "./install.ts";

const MAIN = join(import.meta.dirname, "..", "src", "main.ts");

/** What controller and API get of the workbench. */
export interface PartSettings {
  /** URL of the running role. */
  readonly databaseUrl: string;
  /** Path of the ServiceAccount's kubeconfig. */
  readonly kubeconfig: string;
  /** The data folder's own key. */
  readonly encryptionKey: string;
  readonly apiPort: number;
  /** Whether anybody else might run a controller on the same cluster. */
  readonly leaderElection: boolean;
}

/**
 * The environment of controller and API. What the user set wins over what suits a workbench; where the parts find each other
 * is the workbench's business alone.
 */
export function partEnvironment(user: NodeJS.ProcessEnv, settings: PartSettings): NodeJS.ProcessEnv {
  return {
    KEYSTEAD_API_HOST: "127.0.0.1",
    KEYSTEAD_METRICS_HOST: "127.0.0.1",
    KEYSTEAD_NAMESPACE: CONTROLLER_NAMESPACE,
    KEYSTEAD_LOG_FORMAT: "pretty",
    // Alone on its control plane, a controller would only wait for the lease of one that was killed.
    KEYSTEAD_LEADER_ELECTION: String(settings.leaderElection),
    // The variable would win over a file that the user names.
    ...(user["KEYSTEAD_ENCRYPTION_KEY_FILE"] ? {} : { KEYSTEAD_ENCRYPTION_KEY: settings.encryptionKey }),
    ...withoutEmpty(user),
    DATABASE_URL: settings.databaseUrl,
    KUBECONFIG: settings.kubeconfig,
    KEYSTEAD_API_PORT: String(settings.apiPort),
  };
}

/** What `partEnvironment` is given before the servers run: of where they are only that it will be known. */
const NOT_YET = { databaseUrl: "postgres://localhost/keystead", kubeconfig: "kubeconfig", leaderElection: true };

/**
 * Throws `configuration_invalid` if controller and API would refuse the user's settings or the kept key: said before any
 * server is started.
 */
export function checkSettings(user: NodeJS.ProcessEnv, known: Pick<PartSettings, "encryptionKey" | "apiPort">): void {
  const settings = partEnvironment(user, { ...NOT_YET, ...known });
  loadConfig(settings, ["installation", "encryption", "database", "api", "metrics", "controller"]);
}

/** An empty variable counts as unset in the parts, so it must not hide what the workbench sets. */
function withoutEmpty(env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  return Object.fromEntries(
    Object.entries(env).filter(([name, value]) => value !== "" || !name.startsWith("KEYSTEAD_")),
  );
}

/** Brings the schema up to date as its owner. Throws `part_failed` with what `migrate` said. */
export async function migrateDatabase(children: ChildProcesses, ownerUrl: string): Promise<void> {
  const env = { KEYSTEAD_LOG_FORMAT: "pretty", ...withoutEmpty(process.env), KEYSTEAD_DATABASE_OWNER_URL: ownerUrl };
  const migration = children.start({
    name: "migrate",
    command: process.execPath,
    args: [MAIN, "migrate"],
    env,
    stopPhase: 2,
  });
  const { exitCode } = await migration.ended;
  if (exitCode !== 0) throw endedEarly(migration);
}

/** Controller or API, running and ready. */
export interface Part {
  readonly child: Child;
  /** Where its metrics and probes are. */
  readonly metricsUrl: string;
}

/** How long a part may take to be ready; a part that waits for something says so in its log. */
const READY_DEADLINE_MS = 60_000;

export interface StartPartOptions {
  readonly children: ChildProcesses;
  readonly env: NodeJS.ProcessEnv;
  readonly metricsPort: number;
  readonly onLine: (line: string) => void;
}

/** Starts `keystead controller` or `keystead api` and resolves when it is ready. Throws `part_failed` with its last words if it ends. */
export async function startPart(name: "controller" | "api", options: StartPartOptions): Promise<Part> {
  const env: NodeJS.ProcessEnv = { ...options.env, KEYSTEAD_METRICS_PORT: String(options.metricsPort) };
  const { children, onLine } = options;
  const child = children.start({ name, command: process.execPath, args: [MAIN, name], env, onLine, stopPhase: 2 });
  const host = env["KEYSTEAD_METRICS_HOST"] ?? "127.0.0.1";
  const metricsUrl = `http://${host === "0.0.0.0" || host === "::" ? "127.0.0.1" : host}:${options.metricsPort}`;
  const ended = child.ended.then(() => "ended" as const);
  const deadline = Date.now() + READY_DEADLINE_MS;
  while (Date.now() < deadline) {
    const state = await Promise.race([ended, isReady(`${metricsUrl}/readyz`)]);
    if (state === "ended") throw endedEarly(child);
    if (state) return { child, metricsUrl };
    await delay(50);
  }
  throw new KeysteadError(
    "part_failed",
    `${name} was not ready after ${READY_DEADLINE_MS / 1000} s. It said:\n${lastLines(child)}`,
  );
}

/** The error of a part that ended by itself: its own last words. */
export function endedEarly(child: Child): KeysteadError {
  return new KeysteadError("part_failed", `${child.name} ended. It said:\n${lastLines(child)}`);
}

/** Two ports for the metrics of controller and API: the usual ones where they are free. Throws `port_in_use` for ones the user chose. */
export async function metricsPorts(env: NodeJS.ProcessEnv): Promise<[number, number]> {
  const chosen = Number(env["KEYSTEAD_METRICS_PORT"] || 0);
  const first = chosen || 9090;
  const [taken] = await portsInUse([first, first + 1]);
  if (taken === undefined) return [first, first + 1];
  if (chosen) throw portInUse(taken, "choose others with KEYSTEAD_METRICS_PORT (that one and the next are used)");
  const [controller = 0, api = 0] = await freePorts(2);
  return [controller, api];
}

/** @param advice what else can be done than stopping the other program. */
export function portInUse(port: number, advice: string): KeysteadError {
  return new KeysteadError(
    "port_in_use",
    `Port ${port} is in use by another program: stop that program, or ${advice}.`,
  );
}

async function isReady(url: string): Promise<boolean> {
  try {
    return (await fetch(url, { signal: AbortSignal.timeout(5_000) })).ok;
  } catch {
    // Not listening yet.
    return false;
  }
}
