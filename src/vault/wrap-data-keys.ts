import type { WrappedKeyPlace } from "../crypto/kek.ts";
import { hasCode } from "../errors.ts";
import type { Vault } from "./context.ts";
import { addWrappings, type DataKeyWrapping } from "./data-key-wrappings.ts";
import { openWrapping } from "./environment-keys.ts";
import { introduceKey } from "./prove-key.ts";

/** What wrapping works with. */
type Wrapper = Pick<Vault, "database" | "keys">;

/** Data keys wrapped in one transaction: 500 keep it under 50 ms (bench/encryption-key.ts), and a key is not held longer. */
const WRAP_BATCH = 500;

/** Before the first of all pages. */
const BEFORE_ALL: WrappedKeyPlace = {
  environmentId: "00000000-0000-0000-0000-000000000000",
  dataKeyId: "00000000-0000-0000-0000-000000000000",
};

/** How far the wrapping is. */
export interface WrappingProgress {
  /** Wrappings under the configured keys that are still to be made. */
  missing(count: number): void;
  /** Wrappings that were made. */
  made(count: number): void;
}

/** What wrapping came to. */
export interface WrappingResult {
  /** Keys that wrap every data key from now on, and did not before; of several processes one is told. */
  readonly completed: readonly string[];
  /** Data keys that no configured key opens, so that none could be added. */
  readonly unreadable: number;
  /** Configured keys that were retired: they wrap nothing more. */
  readonly retired: readonly string[];
}

/**
 * Wraps every data key under all configured keys, so that each of them alone is enough to read everything. Any number of
 * processes may be at it, and one that is killed leaves nothing half done. Ends early once `signal` fires. Rejects with
 * `encryption_key_unknown` or a `database_*` error.
 */
export async function wrapDataKeys(
  vault: Wrapper,
  progress: WrappingProgress,
  signal: AbortSignal,
): Promise<WrappingResult> {
  const listed = await noteConfigured(vault);
  const retired = vault.keys.ids.filter((id) => listed.get(id) === "retired");
  const usable = vault.keys.ids.filter((id) => !retired.includes(id));
  let missing = await countMissing(vault, usable);
  progress.missing(missing);
  const unreadable = new Set<string>();
  const completed: string[] = [];
  for (const keyId of usable) {
    if (missing > 0) {
      await wrapUnder(vault, keyId, signal, (made, failed) => {
        progress.made(made);
        missing = Math.max(0, missing - made);
        progress.missing(missing);
        for (const { dataKeyId } of failed) unreadable.add(dataKeyId);
      });
    }
    if (signal.aborted) break;
    if (!listed.has(keyId) && (await introduceKey(vault.database, vault.keys, keyId))) completed.push(keyId);
  }
  return { completed, unreadable: unreadable.size, retired };
}

/** Writes down that these keys are configured somewhere, and tells which of them the database knows. */
async function noteConfigured({ database, keys }: Wrapper): Promise<ReadonlyMap<string, "known" | "retired">> {
  await database.query(
    `update keystead.key_encryption_keys
        set configured_at = now()
      where key_id = any($1) and (configured_at is null or configured_at < now() - interval '45 seconds')`,
    [keys.ids],
  );
  const rows = await database.query<{ key_id: string; retired: boolean }>(
    "select key_id, retired_at is not null as retired from keystead.key_encryption_keys where key_id = any($1)",
    [keys.ids],
  );
  return new Map(rows.map((row) => [row.key_id, row.retired ? "retired" : "known"]));
}

async function countMissing({ database }: Wrapper, keyIds: readonly string[]): Promise<number> {
  const [row] = await database.query<{ missing: number }>(
    `select count(*) as missing
       from keystead.data_keys d
      cross join unnest($1::text[]) as k (key_id)
      where not exists (
        select from keystead.data_key_wrappings w
         where w.environment_id = d.environment_id and w.data_key_id = d.data_key_id and w.key_id = k.key_id
      )`,
    [keyIds],
  );
  return row?.missing ?? 0;
}

/** Goes over all data keys once, page by page. */
async function wrapUnder(
  vault: Wrapper,
  keyId: string,
  signal: AbortSignal,
  wrapped: (made: number, failed: readonly WrappedKeyPlace[]) => void,
): Promise<void> {
  let after: WrappedKeyPlace | undefined = BEFORE_ALL;
  while (after && !signal.aborted) {
    const page: Page = await pageWithout(vault, keyId, after);
    const attempts = await Promise.all([...page.wrappings].map(([, rows]) => wrapAgain(vault, keyId, rows)));
    const ready = attempts.flatMap((attempt) => ("keyId" in attempt ? [attempt] : []));
    const made =
      ready.length === 0 ? 0 : await vault.database.transaction((transaction) => addWrappings(transaction, [...ready]));
    wrapped(
      made,
      attempts.filter((attempt) => !("keyId" in attempt)),
    );
    after = page.last;
  }
}

interface WrappingRow {
  readonly environment_id: string;
  readonly data_key_id: string;
  readonly key_id: string | null;
  readonly wrapped: Buffer | null;
}

interface Page {
  readonly wrappings: ReadonlyMap<string, readonly WrappingRow[]>;
  /** Where the next page begins; undefined after the last. */
  readonly last: WrappedKeyPlace | undefined;
}

/** Data keys that a key does not wrap, with the wrappings that they have. */
async function pageWithout({ database }: Wrapper, keyId: string, after: WrappedKeyPlace): Promise<Page> {
  const rows = await database.query<WrappingRow>(
    `with missing as (
       select d.environment_id, d.data_key_id
         from keystead.data_keys d
        where (d.environment_id, d.data_key_id) > ($2::uuid, $3::uuid)
          and not exists (
            select from keystead.data_key_wrappings w
             where w.environment_id = d.environment_id and w.data_key_id = d.data_key_id and w.key_id = $1
          )
        order by d.environment_id, d.data_key_id
        limit $4
     )
     select environment_id, data_key_id, w.key_id, w.wrapped
       from missing
       left join keystead.data_key_wrappings w using (environment_id, data_key_id)
      order by environment_id, data_key_id`,
    [keyId, after.environmentId, after.dataKeyId, WRAP_BATCH],
  );
  const wrappings = Map.groupBy(rows, (row) => row.data_key_id);
  const last = rows.at(-1);
  return {
    wrappings,
    last:
      last && wrappings.size === WRAP_BATCH
        ? { environmentId: last.environment_id, dataKeyId: last.data_key_id }
        : undefined,
  };
}

/** The data key under one more key, or only its place when none of the configured keys opens it. */
async function wrapAgain(
  { keys }: Wrapper,
  keyId: string,
  rows: readonly WrappingRow[],
): Promise<DataKeyWrapping | WrappedKeyPlace> {
  const place = { environmentId: rows[0]?.environment_id ?? "", dataKeyId: rows[0]?.data_key_id ?? "" };
  try {
    return { ...place, keyId, wrapped: await keys.wrap(keyId, await openWrapping(keys, place, rows), place) };
  } catch (thrown) {
    // One that cannot be opened is counted and reported, and its reads say why: it must not hold up the others.
    if (hasCode(thrown, "encryption_key_unknown") || hasCode(thrown, "sealed_value_invalid")) return place;
    throw thrown;
  }
}
