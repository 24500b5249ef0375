import { dataKeyIdOf, openValue, sealValue } from "../crypto/sealed-value.ts";
import type { Queryable, SqlValue } from "../db/session-pool.ts";
import { valuesList } from "../db/values-list.ts";
import { hasCode, KeysteadError } from "../errors.ts";
import type { Vault } from "./context.ts";
import type { EnvironmentKeySet } from "./environment-keys.ts";
import { keysForSealing } from "./seal.ts";
import { SEALED_TABLES, type SealedTable } from "./sealed-tables.ts";

/** What re-encrypting works with. */
type Reencrypter = Pick<Vault, "database" | "environmentKeys" | "ivs">;

/** Rows of one transaction: with tokens of 1,000 characters it takes some 40 ms (bench/data-key.ts), so a writer never waits long. */
const ROWS_PER_BATCH = 250;

/** Before the first of all rows. */
const BEFORE_ALL = "00000000-0000-0000-0000-000000000000";

/** What one pass over an environment came to. */
export interface ReencryptionPass {
  /** Values that are under the active key now and were not before. */
  readonly reencrypted: number;
  /** Rows that somebody held: they may have values under another key still. */
  readonly held: number;
  /** Rows with a value that does not open. They stay as they are, and the key that they name stays with them. */
  readonly broken: number;
  /** The pass saw every row. */
  readonly complete: boolean;
}

/**
 * Takes every value of an environment that is under a retired data key to the active one, soft-deleted rows too. The
 * place of a value stays the same, its revision included, so a row's own revision is not touched. Safe beside writers
 * and other passes; rows that somebody holds are left for the next pass. Ends early once `signal` fires.
 *
 * Rejects with `data_key_replaced` when the key was replaced once more meanwhile, with `data_key_exhausted`,
 * `encryption_key_unknown` or a `database_*` error.
 */
export async function reencryptEnvironment(
  vault: Reencrypter,
  environmentId: string,
  signal: AbortSignal,
): Promise<ReencryptionPass> {
  const pass = { reencrypted: 0, held: 0, broken: 0 };
  for (const table of SEALED_TABLES) {
    let after: string | undefined = BEFORE_ALL;
    while (after !== undefined) {
      if (signal.aborted) return { ...pass, complete: false };
      const batch: Batch = await reencryptBatch(vault, environmentId, table, after);
      pass.reencrypted += batch.reencrypted;
      pass.held += batch.held;
      pass.broken += batch.broken;
      after = batch.last;
    }
  }
  return { ...pass, complete: true };
}

interface Batch extends Omit<ReencryptionPass, "complete"> {
  /** Where the next one begins; undefined after the last. */
  readonly last: string | undefined;
}

async function reencryptBatch(
  vault: Reencrypter,
  environmentId: string,
  table: SealedTable,
  after: string,
): Promise<Batch> {
  const { activeKey } = await vault.environmentKeys.of(environmentId);
  // Without locks and with a bound: of rows that are right already no more is read than their first bytes.
  const page = await vault.database.query<{ row_id: string; stale: boolean }>(
    `select ${table.idColumn} as row_id, coalesce(${isStale(table)}, false) as stale
       from keystead.${table.name}
      where environment_id = $1 and ${table.idColumn} > $3
      order by ${table.idColumn}
      limit ${ROWS_PER_BATCH}`,
    [environmentId, activeKey.id, after],
  );
  const last = page.length === ROWS_PER_BATCH ? page.at(-1)?.row_id : undefined;
  const stale = page.filter((row) => row.stale).map(({ row_id }) => row_id);
  if (stale.length === 0) return { reencrypted: 0, held: 0, broken: 0, last };
  // Counted before and outside the transaction: should it roll back, too many were counted, never too few.
  const keySet = await keysForSealing(vault, environmentId, stale.length * table.columns.length);
  const done = await vault.database.transaction((transaction) =>
    reencryptRows(vault, transaction, { environmentId, table, keySet, rowIds: stale }),
  );
  return { ...done, last };
}

interface Rows {
  readonly environmentId: string;
  readonly table: SealedTable;
  readonly keySet: EnvironmentKeySet;
  readonly rowIds: readonly string[];
}

/** Nobody is waited for: a row that is being written comes under the active key by that, or is met by the next pass. */
async function reencryptRows(
  vault: Reencrypter,
  transaction: Queryable,
  { environmentId, table, keySet, rowIds }: Rows,
): Promise<Omit<Batch, "last">> {
  const { idColumn, columns } = table;
  const selected = columns.flatMap(({ name, revision }, index) => [
    // A quarter of the time that the hexadecimal form takes to decode.
    `case when keystead.data_key_of(${name}) <> $2 then encode(${name}, 'base64') end as sealed_${index}`,
    `${revision} as revision_${index}`,
  ]);
  const rows = await transaction.query<Readonly<Record<string, string | number | null>>>(
    `select ${idColumn} as row_id, ${selected.join(", ")}
       from keystead.${table.name}
      where environment_id = $1 and ${idColumn} = any($3::uuid[]) and (${isStale(table)})
        for update skip locked`,
    [environmentId, keySet.activeKey.id, rowIds],
  );
  const renewed = rows.flatMap((row) => renewRow(vault, environmentId, table, keySet, row));
  if (renewed.length > 0) await writeRows(transaction, environmentId, table, renewed);
  const values = renewed.flatMap((row) => row.slice(1)).filter((sealed) => sealed !== null);
  return {
    reencrypted: values.length,
    held: rowIds.length - rows.length,
    broken: rows.length - renewed.length,
  };
}

/** Id and new values of a row, or nothing when one of them does not open: it stays as it is, and its key with it. */
function renewRow(
  vault: Reencrypter,
  environmentId: string,
  table: SealedTable,
  keySet: EnvironmentKeySet,
  row: Readonly<Record<string, string | number | null>>,
): readonly (readonly SqlValue[])[] {
  const rowId = String(row["row_id"]);
  try {
    const values = table.columns.map(({ label }, index) => {
      const sealed = row[`sealed_${index}`];
      if (typeof sealed !== "string") return null;
      const place = { label, environmentId, rowId, revision: Number(row[`revision_${index}`]) };
      const old = Buffer.from(sealed, "base64");
      const keyId = dataKeyIdOf(old, place);
      const key = keySet.dataKeys.get(keyId);
      if (!key)
        throw new KeysteadError("sealed_value_invalid", `environment ${environmentId} has no data key ${keyId}`);
      return sealValue(keySet.activeKey, openValue(key, old, place), place, vault.ivs);
    });
    return [[rowId, ...values]];
  } catch (thrown) {
    if (hasCode(thrown, "sealed_value_invalid")) return [];
    throw thrown;
  }
}

async function writeRows(
  transaction: Queryable,
  environmentId: string,
  { name, idColumn, columns }: SealedTable,
  rows: readonly (readonly SqlValue[])[],
): Promise<void> {
  const { text, values } = valuesList(["uuid", ...columns.map(() => "bytea")], rows);
  const names = columns.map((column) => column.name);
  await transaction.query(
    `update keystead.${name} t
        set ${names.map((column) => `${column} = coalesce(i.${column}, t.${column})`).join(", ")}
       from (${text}) as i (row_id, ${names.join(", ")})
      where t.environment_id = $${values.length + 1} and t.${idColumn} = i.row_id`,
    [...values, environmentId],
  );
}

/** SQL: whether a row has a value under another key than $2. */
function isStale({ columns }: SealedTable): string {
  return columns.map(({ name }) => `keystead.data_key_of(${name}) <> $2`).join(" or ");
}
