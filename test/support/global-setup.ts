import { randomBytes } from "node:crypto";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Client } from "pg";
import type { TestProject } from "vitest/node";
import { findBinaries } from "../../dev/control-plane/binaries.ts";
import { createChildProcesses } from "../../dev/processes/child-processes.ts";
import { startControlPlane } from "../../dev/control-plane/control-plane.ts";
import { startPostgres } from "../../dev/postgres/postgres.ts";
import { makeScratchDirectory } from "../../dev/processes/scratch-directory.ts";
import { createKubeClient } from "../../src/kube/client.ts";
import { loadIdentity } from "../../src/kube/identity.ts";
import { installCrds } from "./crds.ts";
import { memoryDirectory } from "./memory-directory.ts";
import { templateName } from "./template-name.ts";

declare module "vitest" {
  // Merged into vitest's own interface: what `inject` gives in every test file.
  interface ProvidedContext {
    controlPlane: {
      url: string;
      /** Path of the administrator's kubeconfig. */
      kubeconfig: string;
      /** Folder with kubectl. */
      binaries: string;
      /** Path of the audit log: what ServiceAccounts asked for, one JSON object a line. */
      auditLog: string;
      /** Whether garbage collection and namespace deletion work. */
      controllerManager: boolean;
    };
    postgres: {
      /** URL of the superuser in the database `postgres`. */
      ownerUrl: string;
      /** Different for every run, so that runs on one external server do not share a template database. */
      run: string;
    };
  }
}

/** Enough for every test file's pools at once; an idle connection costs about 2 MB. */
const MAX_CONNECTIONS = 300;

/**
 * One control plane, with our CRDs, and one Postgres for the whole run: a namespace and a database of its own isolate a test as well as
 * servers of its own would, and starting those takes 3 s. No fsync, because the state dies with the run.
 */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const binaries = await findBinaries((line) => process.stderr.write(`${line}\n`));
  // Of the workers and of what they start as well.
  process.env["TMPDIR"] = memoryDirectory() ?? tmpdir();
  const directory = await makeScratchDirectory();
  const children = createChildProcesses(directory, true);
  const run = randomBytes(5).toString("hex");
  // Some hundred processes of Keystead start from the same sources, and each would spend a third of a second on them.
  process.env["NODE_COMPILE_CACHE"] = join(directory, "compile-cache");
  try {
    const [controlPlane, ownerUrl] = await Promise.all([
      startControlPlane({
        directory: join(directory, "control-plane"),
        binaries,
        children,
        durable: false,
        audit: true,
      }),
      process.env["DATABASE_URL"] ?? startOwnPostgres(directory, children),
    ]);
    await using admin = createKubeClient(await loadIdentity({ kubeconfig: controlPlane.kubeconfig, env: {} }));
    await installCrds(admin);
    project.provide("controlPlane", {
      url: controlPlane.url,
      kubeconfig: controlPlane.kubeconfig,
      binaries: binaries.directory,
      auditLog: controlPlane.auditLog,
      controllerManager: binaries.controllerManager,
    });
    project.provide("postgres", { ownerUrl, run });
  } catch (error) {
    await children[Symbol.asyncDispose]();
    throw error;
  }
  return async () => {
    await children[Symbol.asyncDispose]();
    // A server of one's own is gone by now; another one keeps what it is not told to forget.
    if (process.env["DATABASE_URL"]) await dropTemplates(process.env["DATABASE_URL"], run);
  };
}

async function startOwnPostgres(directory: string, children: ReturnType<typeof createChildProcesses>): Promise<string> {
  const postgres = await startPostgres({
    directory: join(directory, "postgres"),
    children,
    durable: false,
    maxConnections: MAX_CONNECTIONS,
  });
  return postgres.superuserUrl;
}

async function dropTemplates(ownerUrl: string, run: string): Promise<void> {
  const client = new Client({ connectionString: ownerUrl });
  await client.connect();
  for (const template of ["migrated", "guarded"] as const) {
    await client.query(`drop database if exists ${templateName(run, template)} with (force)`);
  }
  await client.end();
}
