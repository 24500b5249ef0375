import { randomBytes } from "node:crypto";
import { join } from "node:path";
import { findBinaries } from "../../dev/control-plane/binaries.ts";
import { createChildProcesses, type ChildProcesses } from "../../dev/processes/child-processes.ts";
import { startControlPlane } from "../../dev/control-plane/control-plane.ts";
import { createControllerIdentity } from "../../dev/controller-identity.ts";
import { runtimeUrl, startOwnDatabase } from "../../dev/database.ts";
import { install } from "../../dev/install.ts";
import { createKubectl } from "../../dev/control-plane/kubectl.ts";
import { makeScratchDirectory } from "../../dev/processes/scratch-directory.ts";
import { createKubeClient, type KubeClient } from "../../src/kube/client.ts";
import { loadIdentity } from "../../src/kube/identity.ts";
import { progress } from "./progress.ts";
import { runEmitted } from "./emitted.ts";

/** Role that the migration gives the rights of a running process; the setting's own default. */
const RUNTIME_ROLE = "keystead_runtime";

/** A control plane and a Postgres of their own, both writing to disk as in production, with Keystead installed and not running. */
export interface Arena extends AsyncDisposable {
  readonly children: ChildProcesses;
  /** As the cluster's administrator, who is not in the audit log. */
  readonly admin: KubeClient;
  /** Path of the kubeconfig of the ServiceAccount that the chart would give the controller. */
  readonly controllerKubeconfig: string;
  /** File to which the API server writes what ServiceAccounts ask for. */
  readonly auditLog: string;
  readonly database: ArenaDatabase;
  readonly encryptionKey: string;
  /** What every process of Keystead is started with; nothing that has a default is set but where to listen. */
  readonly environment: NodeJS.ProcessEnv;
}

/** URLs of the role that owns the schema, and of the one that running processes have. */
export interface ArenaDatabase {
  readonly ownerUrl: string;
  readonly url: string;
  /** Of the server's first process, whose children serve its sessions. */
  readonly pid: number;
}

/** Starts the servers in a folder that goes with them. Everything ends when it is disposed, or when this process does. */
export async function startArena(): Promise<Arena> {
  const directory = await makeScratchDirectory();
  await using starting = new AsyncDisposableStack();
  const children = starting.use(createChildProcesses(directory, true));
  const binaries = await findBinaries(progress);
  const [controlPlane, database] = await Promise.all([
    startControlPlane({
      directory: join(directory, "control-plane"),
      binaries,
      children,
      durable: true,
      audit: true,
    }),
    startMigratedDatabase(directory, children),
  ]);
  const kubectl = createKubectl(
    join(binaries.directory, "kubectl"),
    controlPlane.kubeconfig,
    join(directory, "kubectl-cache"),
    new AbortController().signal,
  );
  await install(kubectl);
  const cluster = {
    kubectl,
    kubeconfig: controlPlane.kubeconfig,
    local: true,
    parts: [],
    rows: [],
    warning: undefined,
  };
  const identity = starting.use(await createControllerIdentity(cluster, directory, progress));
  const adminIdentity = await loadIdentity({ kubeconfig: controlPlane.kubeconfig, env: {} });
  const admin = starting.use(createKubeClient(adminIdentity, { userAgent: "keystead-bench" }));
  const encryptionKey = randomBytes(32).toString("base64");
  const running = starting.move();
  return {
    children,
    admin,
    controllerKubeconfig: identity.kubeconfig,
    auditLog: controlPlane.auditLog,
    database,
    encryptionKey,
    environment: {
      PATH: process.env["PATH"],
      KUBECONFIG: identity.kubeconfig,
      DATABASE_URL: database.url,
      KEYSTEAD_ENCRYPTION_KEY: encryptionKey,
      KEYSTEAD_METRICS_HOST: "127.0.0.1",
      KEYSTEAD_API_HOST: "127.0.0.1",
    },
    [Symbol.asyncDispose]: () => running[Symbol.asyncDispose](),
  };
}

/** A Postgres with the schema and a login of the running role. */
export async function startMigratedDatabase(directory: string, children: ChildProcesses): Promise<ArenaDatabase> {
  const { ownerUrl, parts } = await startOwnDatabase(directory, children);
  await runEmitted(["migrate"], { KEYSTEAD_DATABASE_OWNER_URL: ownerUrl });
  const url = await runtimeUrl(ownerUrl, directory, RUNTIME_ROLE);
  return { ownerUrl, url: url ?? ownerUrl, pid: parts[0]?.pid ?? Number.NaN };
}
