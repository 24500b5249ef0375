import { createHash } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { KeysteadError } from "../errors.ts";

/** One numbered file of `migrations/`. */
export interface Migration {
  readonly version: number;
  readonly name: string;
  readonly sql: string;
  /** SHA-256 of the file: an applied migration is never edited, and an edited one is found. */
  readonly checksum: string;
  /** The oldest code, by the newest migration it came with, that works on a database with this migration. */
  readonly minCodeVersion: number;
}

const FOLDER = join(import.meta.dirname, "migrations");
const FILE = /^(\d{4})-([a-z0-9-]+)\.sql$/;
const MIN_CODE_VERSION = /^-- min_code_version: (\d+)$/m;

/** The migrations this code comes with, in order. Throws `internal_error` for a gap or a file that does not fit. */
export function readMigrations(folder: string = FOLDER): readonly Migration[] {
  const migrations = readdirSync(folder)
    .toSorted()
    .map((file) => readMigration(folder, file));
  // A gap means that two branches took one number and one of them was lost.
  for (const [index, { version, name }] of migrations.entries()) {
    if (version !== index + 1)
      throw new KeysteadError("internal_error", `migration ${name} has number ${version}, not ${index + 1}`);
  }
  return migrations;
}

function readMigration(folder: string, file: string): Migration {
  const [, number, name] = FILE.exec(file) ?? [];
  const sql = readFileSync(join(folder, file), "utf8");
  const [, minCodeVersion] = MIN_CODE_VERSION.exec(sql) ?? [];
  if (!number || !name || !minCodeVersion) {
    throw new KeysteadError(
      "internal_error",
      `${file} is no migration: a number, a name and a min_code_version are needed`,
    );
  }
  return {
    version: Number(number),
    name,
    sql,
    checksum: createHash("sha256").update(sql).digest("hex"),
    minCodeVersion: Number(minCodeVersion),
  };
}
