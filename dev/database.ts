import { randomBytes } from "node:crypto";
import { join } from "node:path";
import { Client, escapeIdentifier, escapeLiteral } from "pg";
import { z } from "zod";
import { KeysteadError } from "../src/errors.ts";
import type { Child } from "./processes/child-process.ts";
import type { ChildProcesses } from "./processes/child-processes.ts";
import { keptPassword } from "./postgres/postgres-cluster.ts";
import { startPostgres } from "./postgres/postgres.ts";
import { readState, writeText } from "./state-file.ts";

/** The Postgres that the workbench works on, ours or the user's. */
export interface Database {
  /** URL of the role that owns the schema. */
  readonly ownerUrl: string;
  readonly parts: readonly Child[];
}

/** Controller and API keep ten connections each; the rest is for people who look. */
const MAX_CONNECTIONS = 100;

const OWNER = "keystead_owner";
const DATABASE = "keystead";

/** Starts the embedded Postgres of the data folder, with a database and an owner for Keystead in it. */
export async function startOwnDatabase(directory: string, children: ChildProcesses): Promise<Database> {
  const folder = join(directory, "postgres");
  const { superuserUrl, part } = await startPostgres({
    directory: folder,
    children,
    durable: true,
    maxConnections: MAX_CONNECTIONS,
  });
  const password = keptPassword(join(folder, "owner-password"));
  await withClient(superuserUrl, async (client) => {
    // The owner makes the role that controller and API run as, so it needs createrole; superuser it never is.
    await ensureRole(client, OWNER, `login createrole password ${escapeLiteral(password)}`);
    const found = await client.query("select 1 from pg_database where datname = $1", [DATABASE]);
    if (!found.rowCount) await client.query(`create database ${DATABASE} owner ${OWNER}`);
  });
  return { ownerUrl: urlWith(superuserUrl, { user: OWNER, password, database: DATABASE }), parts: [part] };
}

const loginShape = z.object({ name: z.string(), password: z.string() });

/**
 * URL of a login that may do what running processes may and no more. It is a member of the running role and belongs to this data
 * folder, so that two of them on one server do not change each other's password. `undefined` when the owner may not make roles.
 */
export async function runtimeUrl(
  ownerUrl: string,
  directory: string,
  runtimeRole: string,
): Promise<string | undefined> {
  const path = join(directory, "database-login.json");
  const login = readState(path, loginShape) ?? newLogin();
  writeText(path, JSON.stringify(login));
  try {
    await withClient(ownerUrl, async (client) => {
      await ensureRole(client, login.name, `login password ${escapeLiteral(login.password)}`);
      await client.query(`grant ${escapeIdentifier(runtimeRole)} to ${escapeIdentifier(login.name)}`);
    });
  } catch (error) {
    if (isForbidden(error)) return undefined;
    throw error;
  }
  return urlWith(ownerUrl, { user: login.name, password: login.password });
}

function newLogin(): z.infer<typeof loginShape> {
  return { name: `keystead_app_${randomBytes(4).toString("hex")}`, password: randomBytes(24).toString("base64url") };
}

async function ensureRole(client: Client, name: string, attributes: string): Promise<void> {
  const found = await client.query("select 1 from pg_roles where rolname = $1", [name]);
  await client.query(`${found.rowCount ? "alter" : "create"} role ${escapeIdentifier(name)} ${attributes}`);
}

/** SQLSTATE insufficient_privilege. */
function isForbidden(error: unknown): boolean {
  return error instanceof Error && "code" in error && error.code === "42501";
}

async function withClient<T>(url: string, work: (client: Client) => Promise<T>): Promise<T> {
  const client = new Client({ connectionString: url, connectionTimeoutMillis: 10_000 });
  client.on("error", () => {});
  try {
    await client.connect();
  } catch (error) {
    const { host, pathname } = new URL(url);
    const said = error instanceof Error ? error.message : String(error);
    throw new KeysteadError("part_failed", `Postgres at ${host}${pathname} cannot be reached: ${said}`, {
      cause: error,
    });
  }
  try {
    return await work(client);
  } finally {
    await client.end();
  }
}

interface UrlParts {
  readonly user: string;
  readonly password: string;
  readonly database?: string;
}

function urlWith(base: string, parts: UrlParts): string {
  const url = new URL(base);
  url.username = parts.user;
  url.password = parts.password;
  if (parts.database !== undefined) url.pathname = `/${parts.database}`;
  return url.href;
}
