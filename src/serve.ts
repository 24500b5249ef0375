import { hostname } from "node:os";
import { setTimeout as delay } from "node:timers/promises";
import { type Config, loadConfig, unknownVariables } from "./config.ts";
import { createKeyEncryptionKeys } from "./crypto/kek.ts";
import { type Database, openDatabase } from "./db/database.ts";
import { checkSchema } from "./db/migrate.ts";
import { asKeysteadError } from "./errors.ts";
import { startWorkers } from "./serve-workers.ts";
import { createShutdown, type Shutdown } from "./shutdown.ts";
import { startHealthServer } from "./telemetry/health-server.ts";
import { createLog, type Log } from "./telemetry/log.ts";
import { createDatabaseReadiness, type DatabaseReadiness, type Verdict } from "./telemetry/readiness.ts";
import { createRegistry } from "./telemetry/registry.ts";
import type { MetricsRegistry } from "./telemetry/prometheus.ts";
import { watchDatabase } from "./telemetry/database-watch.ts";
import type { Vault } from "./vault/context.ts";
import { openVault } from "./vault/vault.ts";
import type { WorkerMetrics } from "./workers/worker.ts";
import { VERSION } from "./version.ts";

/** Which of the two long-running parts a process is. */
export type Role = "controller" | "api";

/** First and longest pause between two attempts to reach the database at the start. */
const FIRST_PAUSE_MS = 250;
const LONGEST_PAUSE_MS = 10_000;

const SECTIONS_OF = { controller: ["controller"], api: ["api", "outbound"] } as const;

const COMMON_SECTIONS = ["log", "installation", "encryption", "database", "metrics"] as const;

/** What a part gets from the process that it runs in. */
export interface Process {
  readonly config: Pick<Config, (typeof COMMON_SECTIONS)[number]>;
  readonly log: Log;
  readonly registry: MetricsRegistry;
  readonly vault: Vault;
  readonly readiness: DatabaseReadiness;
  readonly workerMetrics: WorkerMetrics;
  /** Fires when the process has to end. */
  readonly signal: AbortSignal;
  /** Fires when there is no more time for what is under way to end by itself. */
  readonly cutOff: AbortSignal;
}

/** A part of the process at work. */
export interface Part extends AsyncDisposable {
  /** Resolves when the part ended because it was told to, and rejects when it cannot go on. */
  readonly ended: Promise<void>;
  /** Why no progress is possible any more, if so. */
  unhealthy(): string | undefined;
  /** Why it cannot do its work, if so, although that may pass by itself. Its database is not its own affair. */
  unready(): string | undefined;
}

/**
 * Runs the parts until `signal` fires. The metrics port opens first, so that `/readyz` can say 503 while the database is
 * waited for; nothing is served or reconciled before the encryption key is proven against the database. Rejects when the
 * process cannot do its work: wrong configuration, wrong key, missing migration, lost leadership.
 *
 * Settles within the time of `createShutdown` after it was told to end. What did not end by then is left behind, so the
 * caller has to end the process.
 */
export async function serve(roles: readonly Role[], signal: AbortSignal): Promise<void> {
  // The sections of the parts are read by them; here only so that everything wrong is said at once.
  const config = loadConfig(process.env, [...COMMON_SECTIONS, ...roles.flatMap((role) => SECTIONS_OF[role])]);
  const log = await createLog(config.log, { process: roles.length === 1 ? (roles[0] ?? "run") : "run" });
  const unknown = unknownVariables(process.env);
  if (unknown.length > 0) log.warn({ variables: unknown }, "these variables are not known and are ignored");

  using shutdown = createShutdown(log);
  signal.addEventListener("abort", () => shutdown.begin(), { once: true });
  if (signal.aborted) shutdown.begin();
  await Promise.race([runParts(roles, { config, log, signal, shutdown }), shutdown.over]);
}

type Setting = Pick<Process, "config" | "log" | "signal"> & { readonly shutdown: Shutdown };

/** Runs the parts, and ends them in the reverse order of their start. */
async function runParts(roles: readonly Role[], setting: Setting): Promise<void> {
  await using open = new AsyncDisposableStack();
  try {
    await work(roles, setting, open);
    setting.shutdown.begin();
  } catch (failure) {
    setting.shutdown.begin(failure);
    throw failure;
  }
}

/** Starts everything, and resolves when the process has to end. What has to be ended then is put on `open`. */
async function work(roles: readonly Role[], setting: Setting, open: AsyncDisposableStack): Promise<void> {
  const { config, log, signal, shutdown } = setting;
  const { cutOff } = shutdown;
  const keys = createKeyEncryptionKeys(config.encryption.key, config.encryption.previousKeys);
  const registry = createRegistry({ version: VERSION });
  const readiness = createDatabaseReadiness();
  const parts = new Map<Role, Part>();

  const health = await startHealthServer({
    ...config.metrics,
    livez: () => livenessOf([...parts.values()]),
    readyz: () => readinessOf(roles, parts, readiness.verdict()),
    registry,
  });
  open.use(shutdown.named("metrics port", health));
  log.info({ port: health.port }, "metrics and probes are served");

  const database = openDatabase({ ...config.database, applicationName: `keystead ${roles.join("+")}`, cutOff });
  open.use(shutdown.named("database", database));
  const vault = await whenReachable(database, log, signal, () => openVault({ database, keys }));
  if (!vault) return;
  readiness.proven();

  const watch = watchDatabase({ ping: () => database.ping(), readiness, log });
  open.use(shutdown.named("database watch", watch));
  const started = startWorkers({ vault, log, registry });
  open.use(shutdown.named("audit chain", { [Symbol.asyncDispose]: () => started.finish() }));
  const workers = shutdown.named("workers", started);
  // Callers wait for the answers of the API, and nobody for a pass of the controller.
  const endingOf = (role: Role, part: Part) =>
    shutdown.named(role, part, { patient: role === "api" })[Symbol.asyncDispose]();
  // All at once: none of them has to wait until another has ended.
  open.defer(async () => {
    const endings = [...parts].map(([role, part]) => endingOf(role, part));
    await Promise.all([...endings, workers[Symbol.asyncDispose]()]);
  });
  const workerMetrics = started.metrics;
  const shared: Process = { config, log, registry, vault, readiness, workerMetrics, signal, cutOff };
  for (const role of roles) {
    const part = role === "api" ? await startApi(shared) : await startController(shared);
    if (!part) return;
    parts.set(role, part);
  }
  await Promise.race([...[...parts.values()].map((part) => part.ended), ended(signal)]);
  readiness.draining();
  log.info("shutting down");
}

/** The parts are loaded only where they run: the controller never holds the HTTP framework in memory. */
async function startApi(shared: Process): Promise<Part> {
  const { startApiPart } = await import("./serve-api.ts");
  return startApiPart(shared);
}

async function startController(shared: Process): Promise<Part | undefined> {
  const { startControllerPart } = await import("./serve-controller.ts");
  return startControllerPart(shared, hostname());
}

/**
 * Opens what needs the database, and waits for the database as long as it takes. Undefined when the process is to end
 * before. What does not heal by itself (a wrong key, a missing migration) is thrown at once.
 */
async function whenReachable<T>(
  database: Database,
  log: Log,
  signal: AbortSignal,
  open: () => Promise<T>,
): Promise<T | undefined> {
  for (let pause = FIRST_PAUSE_MS; !signal.aborted; pause = Math.min(pause * 2, LONGEST_PAUSE_MS)) {
    try {
      await checkSchema(database);
      return await open();
    } catch (thrown) {
      const error = asKeysteadError(thrown);
      if (!error.retryable) throw error;
      log.warn({ error, retryInMs: pause }, "the database cannot be used yet; trying again");
      await delay(pause, undefined, { signal }).catch(() => undefined);
    }
  }
  return undefined;
}

function livenessOf(parts: readonly Part[]): Verdict {
  const reason = parts.map((part) => part.unhealthy()).find((one) => one !== undefined);
  return reason === undefined ? { ok: true } : { ok: false, reason };
}

function readinessOf(roles: readonly Role[], parts: ReadonlyMap<Role, Part>, database: Verdict): Verdict {
  if (!database.ok) return database;
  for (const role of roles) {
    const part = parts.get(role);
    const reason = part ? part.unready() : `the ${role} has not started yet; the log says what it waits for`;
    if (reason !== undefined) return { ok: false, reason };
  }
  return database;
}

function ended(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve();
  return new Promise((resolve) => signal.addEventListener("abort", () => resolve(), { once: true }));
}
