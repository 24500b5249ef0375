import { join } from "node:path";
import type { Progress } from "./control-plane/binaries.ts";
import type { ChildProcesses } from "./processes/child-processes.ts";
import { startLocalCluster, useContext } from "./cluster.ts";
import type { Cluster } from "./cluster.ts";
import { createControllerIdentity } from "./controller-identity.ts";
import type { ControllerIdentity } from "./controller-identity.ts";
import { runtimeUrl, startOwnDatabase } from "./database.ts";
import type { Database } from "./database.ts";
import { readOrMakeEncryptionKey } from "./encryption-key.ts";
import { freePorts, portsInUse } from "./processes/free-port.ts";
import { applyExamples, install } from "./install.ts";
import { checkSettings, metricsPorts, migrateDatabase, partEnvironment, portInUse, startPart } from "./parts.ts";
import type { Part } from "./parts.ts";
import type { StartOptions } from "./start-options.ts";
import { readText, writeText } from "./state-file.ts";

/** Everything that runs. */
export interface Workbench extends Disposable {
  readonly cluster: Cluster;
  readonly database: Database;
  readonly controller: Part;
  readonly api: Part;
  readonly apiPort: number;
  /** What the user should know although everything runs. */
  readonly warnings: readonly string[];
}

export interface WorkbenchOptions {
  readonly options: StartOptions;
  readonly children: ChildProcesses;
  readonly progress: Progress;
  /** Gets each line that controller and API write. */
  readonly onLine: (part: string, line: string) => void;
  /** Aborted when the start shall end early. */
  readonly signal: AbortSignal;
}

/**
 * Starts cluster and database side by side, then what depends on them. Whatever was started belongs to `children`, which the caller
 * ends whether this resolves or throws.
 */
export async function startWorkbench(start: WorkbenchOptions): Promise<Workbench> {
  const { options, children, progress, signal } = start;
  const directory = options.dataDirectory;
  const apiPort = await chooseApiPort(options);
  const [controllerPort, metricsPort] = await metricsPorts(process.env);
  const encryptionKey =
    process.env["KEYSTEAD_ENCRYPTION_KEY"] || readOrMakeEncryptionKey(join(directory, "encryption-key"));
  checkSettings(process.env, { encryptionKey, apiPort });

  const [{ cluster, identity }, { database, url, warning }] = await Promise.all([
    prepareCluster(start),
    prepareDatabase(start),
  ]);
  signal.throwIfAborted();

  progress("starting controller and API");
  const settings = {
    databaseUrl: url,
    kubeconfig: identity.kubeconfig,
    encryptionKey,
    apiPort,
    leaderElection: !cluster.local,
  };
  const env = partEnvironment(process.env, settings);
  const part = (name: "controller" | "api", port: number): Promise<Part> =>
    startPart(name, { children, env, metricsPort: port, onLine: (line) => start.onLine(name, line) });
  const [controller, api] = await Promise.all([part("controller", controllerPort), part("api", metricsPort)]);
  const warnings = [cluster.warning, warning, await ensureExamples(cluster, options, progress)];
  return {
    cluster,
    database,
    controller,
    api,
    apiPort,
    warnings: warnings.filter((text) => text !== undefined),
    [Symbol.dispose]: () => identity[Symbol.dispose](),
  };
}

async function chooseApiPort(options: StartOptions): Promise<number> {
  if (options.apiPort === 0) return (await freePorts(1))[0] ?? 0;
  const [taken] = await portsInUse([options.apiPort], process.env["KEYSTEAD_API_HOST"] || undefined);
  if (taken !== undefined) throw portInUse(taken, "choose another for the API with --api-port N");
  return options.apiPort;
}

async function prepareCluster(start: WorkbenchOptions): Promise<{ cluster: Cluster; identity: ControllerIdentity }> {
  const { options, children, progress, signal } = start;
  const directory = options.dataDirectory;
  const clusterOptions = { directory, children, progress, signal };
  const cluster =
    options.context === undefined
      ? await startLocalCluster(clusterOptions)
      : await useContext(options.context, clusterOptions);
  progress("installing the CRDs and the controller's rights");
  await install(cluster.kubectl);
  return { cluster, identity: await createControllerIdentity(cluster, directory, progress) };
}

async function prepareDatabase(
  start: WorkbenchOptions,
): Promise<{ database: Database; url: string; warning: string | undefined }> {
  const { options, children, progress } = start;
  const directory = options.dataDirectory;
  progress("starting Postgres");
  const database =
    options.ownerUrl === undefined
      ? await startOwnDatabase(directory, children)
      : { ownerUrl: options.ownerUrl, parts: [] };
  writeText(join(directory, "database-url"), `${database.ownerUrl}\n`);
  await migrateDatabase(children, database.ownerUrl);
  const runtimeRole = process.env["KEYSTEAD_DATABASE_RUNTIME_ROLE"] || "keystead_runtime";
  const url = options.runtimeUrl ?? (await runtimeUrl(database.ownerUrl, directory, runtimeRole));
  const warning = url === undefined ? NO_RUNTIME_LOGIN : undefined;
  return { database, url: url ?? database.ownerUrl, warning };
}

const NO_RUNTIME_LOGIN =
  "The database's owner may not create roles, so controller and API use the owner itself, which can do more than they need. " +
  "To mend it, set KEYSTEAD_DATABASE_OWNER_URL to the owner and DATABASE_URL to a member of the running role.";

/** Once per data folder: what people made of the examples afterwards is theirs. Examples that are not Ready yet are no reason to fail. */
async function ensureExamples(
  cluster: Cluster,
  options: StartOptions,
  progress: Progress,
): Promise<string | undefined> {
  const marker = join(options.dataDirectory, "examples-applied");
  if (!options.examples || readText(marker) !== undefined) return undefined;
  progress("applying examples/");
  await applyExamples(cluster.kubectl);
  writeText(marker, "");
  try {
    await cluster.kubectl([
      "wait",
      "keystead",
      "--all",
      "-n",
      "keystead-demo",
      "--for=condition=Ready",
      "--timeout=20s",
    ]);
    return undefined;
  } catch (error) {
    return `Not every example is Ready yet: ${error instanceof Error ? error.message : String(error)}`;
  }
}
