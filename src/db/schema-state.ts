import { KeysteadError } from "../errors.ts";
import { sqlStateOf } from "./database-errors.ts";
import type { Migration } from "./migrations.ts";
import type { Queryable } from "./session-pool.ts";

/** What a database is like, against what the code needs. */
export interface SchemaState {
  /** Newest migration applied; 0 on a database without the schema. */
  readonly version: number;
  /** Newest migration the code comes with. */
  readonly codeVersion: number;
  /** Names of the migrations that `migrate` would apply, or did. */
  readonly pending: readonly string[];
}

const OLDEST_POSTGRES = 15;

/** One row of `keystead.schema_migrations`. */
export interface AppliedMigration {
  readonly version: number;
  readonly name: string;
  readonly checksum: string;
  readonly min_code_version: number;
}

/** Undefined table, missing schema, no privilege on the schema: all say that nobody has migrated for this role yet. */
const NOT_MIGRATED = new Set(["42P01", "3F000", "42501"]);

/** What was applied, in order; nothing on a database that was not migrated yet. */
export async function appliedMigrations(database: Queryable): Promise<readonly AppliedMigration[]> {
  try {
    return await database.query<AppliedMigration>(
      "select version, name, checksum, min_code_version from keystead.schema_migrations order by version",
    );
  } catch (thrown) {
    if (NOT_MIGRATED.has(sqlStateOf(thrown) ?? "")) return [];
    throw thrown;
  }
}

/**
 * What is missing. Throws `migration_changed` or `code_outdated` when database and code do not go together. Pure.
 */
export function compareSchema(applied: readonly AppliedMigration[], migrations: readonly Migration[]): SchemaState {
  const codeVersion = migrations.length;
  const version = applied.at(-1)?.version ?? 0;
  for (const known of migrations) {
    const row = applied.find((candidate) => candidate.version === known.version);
    if (row && row.checksum !== known.checksum) {
      throw new KeysteadError(
        "migration_changed",
        `migration ${known.version} (${known.name}) differs from the one that was applied`,
      );
    }
  }
  const needed = Math.max(0, ...applied.map((row) => row.min_code_version));
  if (needed > codeVersion) {
    throw new KeysteadError(
      "code_outdated",
      `the database needs a Keystead of schema version ${needed} or newer and this one has ${codeVersion}: roll out the newer release`,
      { details: { needed, codeVersion } },
    );
  }
  const pending = migrations.filter((migration) => migration.version > version).map(({ name }) => name);
  return { version, codeVersion, pending };
}

/** Pure. @param version `server_version_num`: 180004 is 18.4. Newer servers than those tested are not refused. */
export function refusePostgres(version: number): KeysteadError | undefined {
  const major = Math.floor(version / 10_000);
  if (major >= OLDEST_POSTGRES) return undefined;
  return new KeysteadError(
    "postgres_unsupported",
    `Postgres ${major} is too old: Keystead needs ${OLDEST_POSTGRES} or newer`,
  );
}
