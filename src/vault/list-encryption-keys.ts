import type { Queryable } from "../db/session-pool.ts";

/** One of the operator's keys, as the database sees it. */
export interface EncryptionKeyReport {
  /** Its fingerprint. */
  readonly keyId: string;
  /** Whether this process has it, and as what. */
  readonly configured: "current" | "previous" | "no";
  /** `known`: opens everything. `wrapping`: some data keys are not wrapped under it yet. `retired`: wraps nothing more. */
  readonly state: "known" | "wrapping" | "retired";
  /** Data keys that it wraps. */
  readonly dataKeys: number;
  /** Data keys that no other known key wraps: without it they would be lost. */
  readonly alone: number;
  /** When a running process last had it, to the minute. */
  readonly configuredAt: Date | undefined;
  /** The same as a number of seconds, by the clock of the database. */
  readonly configuredSecondsAgo: number | undefined;
  /** Why it cannot be retired; undefined when it can. */
  readonly keptBecause: string | undefined;
}

/** All keys that anything is wrapped under, that the database knows, or that are configured here. */
export interface EncryptionKeysReport {
  readonly dataKeys: number;
  readonly keys: readonly EncryptionKeyReport[];
}

/** A process notes its keys every 48 to 60 s, so that of one that runs there is a note not older than this. */
const STILL_CONFIGURED_SECONDS = 180;

/** What can be said of a key before it is judged. */
type KeyFacts = Omit<EncryptionKeyReport, "keptBecause">;

interface KeyRow {
  readonly key_id: string;
  readonly listed: boolean;
  readonly retired: boolean;
  readonly data_keys: number;
  readonly alone: number;
  readonly configured_at: Date | null;
  readonly configured_seconds_ago: number | null;
}

/**
 * Which keys wrap how many data keys, and which may go. It needs no known key, so it works where nothing else starts.
 * `configured` are the ids of this process's keys, the current one first.
 */
export async function listEncryptionKeys(
  database: Queryable,
  configured: readonly string[],
): Promise<EncryptionKeysReport> {
  const rows = await database.query<KeyRow>(
    `with wrapped as (
       select w.key_id, count(*) as data_keys,
              count(*) filter (where not exists (
                select from keystead.data_key_wrappings o
                  join keystead.key_encryption_keys k on k.key_id = o.key_id and k.retired_at is null
                 where o.environment_id = w.environment_id and o.data_key_id = w.data_key_id and o.key_id <> w.key_id
              )) as alone
         from keystead.data_key_wrappings w
        group by w.key_id
     )
     select key_id, k.check_value is not null as listed, k.retired_at is not null as retired,
            coalesce(w.data_keys, 0) as data_keys, coalesce(w.alone, 0) as alone, k.configured_at,
            extract(epoch from now() - k.configured_at)::int8 as configured_seconds_ago
       from wrapped w
       full join keystead.key_encryption_keys k using (key_id)
      order by k.created_at nulls last, key_id`,
  );
  const [total] = await database.query<{ n: number }>("select count(*) as n from keystead.data_keys");
  const facts = rows.map((row) => factsOf(row, configured));
  const unseen = configured.filter((id) => !facts.some(({ keyId }) => keyId === id));
  const all = [...facts, ...unseen.map((id) => unseenKey(id, configured))];
  return {
    dataKeys: total?.n ?? 0,
    keys: all.map((key) => judged(key, all)),
  };
}

function factsOf(row: KeyRow, configured: readonly string[]): KeyFacts {
  return {
    keyId: row.key_id,
    configured: roleOf(row.key_id, configured),
    state: row.retired ? "retired" : row.listed ? "known" : "wrapping",
    dataKeys: row.data_keys,
    alone: row.alone,
    configuredAt: row.configured_at ?? undefined,
    configuredSecondsAgo: row.configured_seconds_ago ?? undefined,
  };
}

/** A configured key of which the database has not heard. */
function unseenKey(keyId: string, configured: readonly string[]): KeyFacts {
  const nothing = { dataKeys: 0, alone: 0, configuredAt: undefined, configuredSecondsAgo: undefined };
  return { keyId, configured: roleOf(keyId, configured), state: "wrapping", ...nothing };
}

function roleOf(keyId: string, configured: readonly string[]): EncryptionKeyReport["configured"] {
  if (!configured.includes(keyId)) return "no";
  return keyId === configured[0] ? "current" : "previous";
}

function judged(key: KeyFacts, all: readonly KeyFacts[]): EncryptionKeyReport {
  return { ...key, keptBecause: keptBecause(key, all) };
}

/** Pure. Why a key has to stay, the reason that weighs most first; undefined when it can be retired, also once more. */
function keptBecause(key: KeyFacts, all: readonly KeyFacts[]): string | undefined {
  const others = all.filter((other) => other.keyId !== key.keyId && other.state === "known");
  if (key.state === "known" && others.length === 0) return "it is the only key that opens everything";
  if (key.alone > 0) return `${key.alone} data keys are wrapped by it alone`;
  if (key.configured !== "no") return "it is configured here";
  if (key.configuredSecondsAgo !== undefined && key.configuredSecondsAgo < STILL_CONFIGURED_SECONDS)
    return `a running process had it configured ${key.configuredSecondsAgo} s ago`;
  return undefined;
}
