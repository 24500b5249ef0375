import { setTimeout as delay } from "node:timers/promises";
import { Client } from "pg";
import { hasCode, KeysteadError } from "../errors.ts";
import type { Secret } from "../crypto/secret.ts";
import { databaseError } from "./database-errors.ts";
import { readMigrations, type Migration } from "./migrations.ts";
import { checkRoleName, createRoleStatement, grantStatements } from "./privileges.ts";
import { appliedMigrations, compareSchema, refusePostgres, type SchemaState } from "./schema-state.ts";
import type { Queryable } from "./session-pool.ts";

/** What is migrated, and for whom. */
export interface MigrateOptions {
  /** URL of the role that owns the schema: it needs `create` on the database, and `createrole` while the role is missing. */
  readonly ownerUrl: Secret;
  /** The group role of the running processes. */
  readonly runtimeRole: string;
  /** After how many days audit events may be dropped; what the database has by default. */
  readonly auditRetentionDays?: number;
  /** The migrations to apply; those of the code by default. */
  readonly migrations?: readonly Migration[];
  /** Between two attempts to get the locks; for tests. */
  readonly lockPauseMs?: number;
}

/** Any fixed number; only migrators of the same database ever ask for it. */
const MIGRATION_LOCK = 7_310_402_188;

/**
 * DDL waits for running transactions, and everybody else waits behind it, reads for 4 s at most: better to let them by and
 * try again.
 */
const LOCK_TIMEOUT_MS = 2_000;
const LOCK_ATTEMPTS = 5;
const LOCK_PAUSE_MS = 2_000;

const CONNECT_TIMEOUT_MS = 10_000;

/**
 * Brings the database to the code's schema: all pending migrations in one transaction, under a lock, so that of two
 * migrators at once one does the work and the other finds it done. Running it again changes nothing.
 *
 * Rejects with `code_outdated` when a newer Keystead migrated the database and left this one behind,
 * `migration_changed` when an applied file was edited, `postgres_unsupported`, or a `database_*` error.
 */
export async function migrate(options: MigrateOptions): Promise<SchemaState> {
  checkRoleName(options.runtimeRole);
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await migrateOnce(options);
    } catch (thrown) {
      if (!hasCode(thrown, "database_timeout") || attempt === LOCK_ATTEMPTS) throw thrown;
    }
    await delay(options.lockPauseMs ?? LOCK_PAUSE_MS);
  }
}

async function migrateOnce(options: MigrateOptions): Promise<SchemaState> {
  const migrations = options.migrations ?? readMigrations();
  return withOwner(options.ownerUrl, async (owner) => {
    await checkPostgresVersion(owner);
    await owner.query("begin");
    await owner.query("select pg_advisory_xact_lock($1)", [MIGRATION_LOCK]);
    // Not before: waiting for the other migrator would count as well.
    await owner.query(`set local lock_timeout = ${LOCK_TIMEOUT_MS}`);
    await owner.query(MIGRATIONS_TABLE);
    const state = compareSchema(await appliedMigrations(owner), migrations);
    for (const migration of migrations.filter(({ version }) => version > state.version)) {
      // Without parameters a query may hold many statements.
      await owner.query(migration.sql);
      await owner.query(
        "insert into keystead.schema_migrations (version, name, checksum, min_code_version) values ($1, $2, $3, $4)",
        [migration.version, migration.name, migration.checksum, migration.minCodeVersion],
      );
    }
    // Every time, also when nothing was pending: that is how a database gets another running role.
    await owner.query(createRoleStatement(options.runtimeRole));
    await owner.query(grantStatements(options.runtimeRole));
    if (options.auditRetentionDays !== undefined) {
      await owner.query("update keystead.audit_settings set retention_days = $1", [options.auditRetentionDays]);
    }
    await owner.query("commit");
    return { ...state, version: Math.max(state.version, state.codeVersion) };
  });
}

/** What `migrate` would do, without doing it. Rejects as `migrate` does. */
export async function checkMigrations(options: Pick<MigrateOptions, "ownerUrl" | "migrations">): Promise<SchemaState> {
  const migrations = options.migrations ?? readMigrations();
  return withOwner(options.ownerUrl, async (owner) => {
    await checkPostgresVersion(owner);
    return compareSchema(await appliedMigrations(owner), migrations);
  });
}

/**
 * For the start of a running process: rejects with `schema_outdated` when migrations are missing and `code_outdated`
 * when the database is ahead of what this code can work with. A database that is ahead by less is fine: schemas expand
 * first and contract a release later.
 */
export async function checkSchema(database: Queryable): Promise<SchemaState> {
  const state = compareSchema(await appliedMigrations(database), readMigrations());
  if (state.pending.length === 0) return state;
  throw new KeysteadError(
    "schema_outdated",
    `the database is at schema version ${state.version} and this Keystead needs ${state.codeVersion}: run \`keystead migrate\``,
    { details: { ...state } },
  );
}

const MIGRATIONS_TABLE = `
  create schema if not exists keystead;
  create table if not exists keystead.schema_migrations (
    version integer primary key,
    name text not null,
    checksum text not null,
    min_code_version integer not null,
    applied_at timestamptz not null default now()
  )`;

async function checkPostgresVersion(owner: Queryable): Promise<void> {
  const [row] = await owner.query<{ version: number }>("select current_setting('server_version_num')::int as version");
  const refused = refusePostgres(row?.version ?? 0);
  if (refused) throw refused;
}

/** One connection as the owner; ending it rolls back whatever was not committed. */
async function withOwner<T>(url: Secret, work: (owner: Queryable) => Promise<T>): Promise<T> {
  const client = new Client({
    connectionString: url.reveal(),
    application_name: "keystead-migrate",
    connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
  });
  // A connection lost between two statements: the next statement reports it.
  client.on("error", () => undefined);
  try {
    await client.connect();
    return await work({
      async query<Row extends object>(text: string, values: readonly unknown[] = []) {
        const result = await client.query<Row>(text, [...values]);
        return result.rows;
      },
    });
  } catch (thrown) {
    const error = databaseError(thrown);
    if (error.code !== "database_forbidden") throw error;
    throw new KeysteadError("database_forbidden", `the owner role may not do what migrating needs: ${error.message}`, {
      cause: error,
    });
  } finally {
    await client.end();
  }
}
