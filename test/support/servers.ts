import { execFile } from "node:child_process";
import { randomBytes } from "node:crypto";
import { dirname, join } from "node:path";
import type { Client } from "pg";
import { inject } from "vitest";
import { Secret } from "../../src/crypto/secret.ts";
import { migrate } from "../../src/db/migrate.ts";
import { KeysteadError } from "../../src/errors.ts";
import type { KubeClient } from "../../src/kube/client.ts";
import { refuseUnauditedWrites } from "./audit-guard.ts";
import { administrator } from "./cluster.ts";
import { query, withClient } from "./database.ts";
import { refuseUnheldWrites } from "./reign-guard.ts";
import { templateName, type Template } from "./template-name.ts";

export interface TestDatabase extends AsyncDisposable {
  /** May do everything. */
  readonly ownerUrl: string;
  /** A login with the rights of controller and API. */
  readonly url: string;
}

export interface TestNamespace {
  readonly name: string;
  toString(): string;
}

/** The group that migrating gives the rights to, and the login that uses them here. */
const RUNTIME_ROLE = "keystead_runtime";
const RUNTIME_LOGIN = "keystead_test";
/** Everybody in these tests is on this machine and the server ends with the run, so the password keeps nobody out. */
const RUNTIME_PASSWORD = "runtime";
/** Any number that no other lock of the tests has; held while roles and template are made. */
const SETUP_LOCK = 7_310_001;

/** A database of its own with the current schema: a copy of a template that the first caller of the run migrates. */
export async function createDatabase(): Promise<TestDatabase> {
  return databaseFrom(await templateOf("migrated"));
}

/** The same where a write without a reign or without an audit event fails. */
export async function createGuardedDatabase(): Promise<TestDatabase> {
  return databaseFrom(await templateOf("guarded"));
}

/** A database of its own without any schema, for tests of the migration itself. The running login exists. */
export async function createEmptyDatabase(): Promise<TestDatabase> {
  await underLock((client) => ensureRuntimeLogin(client));
  return databaseFrom("template1");
}

/** Of this worker. Not kubectl, which takes a fifth of a second of a processor for each. */
let admin: Promise<KubeClient> | undefined;

/**
 * A namespace of its own. It is left behind: the control plane ends with the run, and emptying a namespace, which asks for
 * every kind there is, would cost more than most tests.
 */
export async function createNamespace(prefix: string): Promise<TestNamespace> {
  const name = uniqueName(prefix);
  admin ??= administrator();
  const body = { apiVersion: "v1", kind: "Namespace", metadata: { name } };
  await (await admin).request({ method: "POST", path: "/api/v1/namespaces", body });
  return { name, toString: () => name };
}

/** Runs kubectl as the administrator and resolves with its output. Throws with what kubectl said when it fails. */
export function kubectl(args: readonly string[], options: { stdin?: string } = {}): Promise<string> {
  const { binaries, kubeconfig } = inject("controlPlane");
  return new Promise((resolve, reject) => {
    const child = execFile(
      join(binaries, "kubectl"),
      ["--kubeconfig", kubeconfig, ...args],
      // kubectl remembers each cluster it meets in the home folder, and every run is a new one.
      {
        env: { ...process.env, KUBECACHEDIR: join(dirname(kubeconfig), "kubectl-cache") },
        maxBuffer: 256 * 1024 * 1024,
      },
      (error, stdout, stderr) => {
        if (error)
          reject(new KeysteadError("internal_error", `kubectl ${args.join(" ")}: ${stderr.trim()}`, { cause: error }));
        else resolve(stdout);
      },
    );
    child.stdin?.end(options.stdin ?? "");
  });
}

/** A name that fits a namespace and a database, different on every call. */
function uniqueName(prefix: string): string {
  return `${prefix}-${randomBytes(5).toString("hex")}`;
}

async function databaseFrom(template: string): Promise<TestDatabase> {
  const server = inject("postgres").ownerUrl;
  const name = uniqueName("test").replaceAll("-", "_");
  // The default way writes every page to the log, which takes up to twice as long, for a server that nobody recovers.
  await query(server, `create database ${name} template ${template} strategy file_copy`);
  return {
    ownerUrl: urlOf(name),
    url: urlOf(name, RUNTIME_LOGIN, RUNTIME_PASSWORD),
    async [Symbol.asyncDispose]() {
      // "force" ends the sessions of a test that failed before it closed its pools.
      await query(server, `drop database if exists ${name} with (force)`);
    },
  };
}

/** One of each for each run and server, also where several workers, or several runs on one external server, ask at once. */
const templates = new Map<Template, Promise<string>>();

function templateOf(template: Template): Promise<string> {
  const made = templates.get(template) ?? underLock((client) => makeTemplate(client, template));
  templates.set(template, made);
  return made;
}

async function makeTemplate(client: Client, template: Template): Promise<string> {
  const name = templateName(inject("postgres").run, template);
  const existing = await client.query("select 1 from pg_database where datname = $1", [name]);
  if (existing.rowCount) return name;
  await ensureRuntimeLogin(client);
  // Under another name until it is complete: a run that was killed in between must not leave half a schema as the template.
  const unfinished = `${name}_unfinished`;
  const ownerUrl = urlOf(unfinished);
  await client.query(`drop database if exists ${unfinished} with (force)`);
  await client.query(`create database ${unfinished}`);
  await migrate({ ownerUrl: new Secret(ownerUrl), runtimeRole: RUNTIME_ROLE });
  if (template === "guarded") {
    await refuseUnheldWrites(ownerUrl);
    await refuseUnauditedWrites(ownerUrl);
  }
  await client.query(`alter database ${unfinished} rename to ${name}`);
  return name;
}

async function ensureRuntimeLogin(client: Client): Promise<void> {
  const roles = await client.query<{ rolname: string }>("select rolname from pg_roles");
  const existing = new Set(roles.rows.map((row) => row.rolname));
  if (!existing.has(RUNTIME_ROLE)) await client.query(`create role ${RUNTIME_ROLE} nologin`);
  if (!existing.has(RUNTIME_LOGIN)) {
    await client.query(`create role ${RUNTIME_LOGIN} login password '${RUNTIME_PASSWORD}' in role ${RUNTIME_ROLE}`);
  }
}

async function underLock<T>(work: (client: Client) => Promise<T>): Promise<T> {
  return withClient(inject("postgres").ownerUrl, async (client) => {
    await client.query("select pg_advisory_lock($1)", [SETUP_LOCK]);
    try {
      return await work(client);
    } finally {
      await client.query("select pg_advisory_unlock($1)", [SETUP_LOCK]);
    }
  });
}

function urlOf(database: string, user?: string, password?: string): string {
  const url = new URL(inject("postgres").ownerUrl);
  url.pathname = `/${database}`;
  if (user !== undefined) url.username = user;
  if (password !== undefined) url.password = password;
  return url.href;
}
