import type { KeyObject } from "node:crypto";
import { importDigestKey } from "../crypto/digest.ts";
import type { KeyEncryptionKeys, WrappedKeyPlace } from "../crypto/kek.ts";
import {
  dataKeyIdOf,
  importDataKey,
  isSealedWith,
  openValue,
  type DataKey,
  type SealedPlace,
} from "../crypto/sealed-value.ts";
import { createBatcher } from "../db/batch.ts";
import type { Database } from "../db/database.ts";
import { asKeysteadError, KeysteadError } from "../errors.ts";
import { failed, succeeded, unwrapOutcome, type Outcome } from "./outcome.ts";

/** The keys of one environment, unwrapped. */
export interface EnvironmentKeySet {
  /** The data key that new values are sealed with. */
  readonly activeKey: DataKey;
  readonly dataKeys: ReadonlyMap<string, DataKey>;
  readonly digestKey: KeyObject;
}

/**
 * Unwrapped keys by environment, at most 5,000 of them, those loaded first going first. They decide nothing about
 * access: whether a key or an environment is still good is asked from the database with every read.
 */
export interface EnvironmentKeys {
  /** Rejects with `environment_gone`, `encryption_key_unknown`, `sealed_value_invalid` or a `database_*` error. */
  of(environmentId: string): Promise<EnvironmentKeySet>;
  /**
   * Opens a sealed value of `place.environmentId`. Keys are loaded anew when the value was sealed with one that is not
   * known yet: another process may have replaced the data key.
   */
  open(sealed: Buffer, place: SealedPlace): Promise<string>;
  /** Has the keys of an environment loaded anew when they are needed next. */
  forget(environmentId: string): void;
  /** Takes in the keys of an environment that this process has just created. */
  put(environmentId: string, keySet: EnvironmentKeySet): void;
}

const MAXIMUM_ENVIRONMENTS = 5_000;

/** Environments loaded by one query, should many be needed at once: as many as a restart loads the rows of. */
const LOAD_BATCH = 1_000;

/** The digest key is sealed once and never replaced, so its place never changes. */
export function digestKeyPlace(environmentId: string): SealedPlace {
  return { label: "environment.digest-key", environmentId, rowId: environmentId, revision: 1 };
}

/**
 * The keys of one process. Use does not renew a place in the cache: keeping that order would cost every read more than
 * loading a forgotten environment again costs the one that needs it.
 */
export function createEnvironmentKeys(database: Database, keys: KeyEncryptionKeys): EnvironmentKeys {
  const cache = new Map<string, Promise<EnvironmentKeySet>>();
  const load = createBatcher<string, Outcome<EnvironmentKeySet>>({
    maxSize: LOAD_BATCH,
    run: (environmentIds) => loadKeySets(database, keys, environmentIds),
  });

  const remember = (environmentId: string, keySet: Promise<EnvironmentKeySet>): void => {
    cache.delete(environmentId);
    cache.set(environmentId, keySet);
    const [oldest] = cache.keys();
    if (cache.size > MAXIMUM_ENVIRONMENTS && oldest !== undefined) cache.delete(oldest);
  };

  /** Callers that come while the keys are being loaded wait for the same answer; a failure is not remembered. */
  const reload = (environmentId: string): Promise<EnvironmentKeySet> => {
    const loading = load(environmentId).then(unwrapOutcome);
    remember(environmentId, loading);
    loading.catch(() => {
      if (cache.get(environmentId) === loading) cache.delete(environmentId);
    });
    return loading;
  };

  const of = (environmentId: string): Promise<EnvironmentKeySet> => cache.get(environmentId) ?? reload(environmentId);

  return {
    of,
    async open(sealed, place) {
      const { environmentId } = place;
      const key = keyOf(await of(environmentId), sealed) ?? keyOf(await reload(environmentId), sealed);
      if (key) return openValue(key, sealed, place);
      const keyId = dataKeyIdOf(sealed, place);
      throw new KeysteadError("sealed_value_invalid", `environment ${environmentId} has no data key ${keyId}`);
    },
    forget: (environmentId) => void cache.delete(environmentId),
    put: (environmentId, keySet) => remember(environmentId, Promise.resolve(keySet)),
  };
}

/** The key that a value names. Nearly every value is sealed with the active one. */
function keyOf(
  { activeKey, dataKeys }: Pick<EnvironmentKeySet, "activeKey" | "dataKeys">,
  sealed: Buffer,
): DataKey | undefined {
  return isSealedWith(activeKey, sealed) ? activeKey : dataKeys.values().find((key) => isSealedWith(key, sealed));
}

interface WrappedKeyRow {
  readonly environment_id: string;
  readonly digest_key_sealed: Buffer;
  readonly data_key_id: string;
  readonly state: "active" | "retired";
  readonly key_id: string | null;
  readonly wrapped: Buffer | null;
}

async function loadKeySets(
  database: Database,
  keys: KeyEncryptionKeys,
  environmentIds: readonly string[],
): Promise<Outcome<EnvironmentKeySet>[]> {
  const rows = await database.query<WrappedKeyRow>(
    `select e.environment_id, e.digest_key_sealed, d.data_key_id, d.state, w.key_id, w.wrapped
       from keystead.environments e
       join keystead.data_keys d on d.environment_id = e.environment_id
       left join keystead.data_key_wrappings w
         on w.environment_id = d.environment_id and w.data_key_id = d.data_key_id
      where e.environment_id = any($1::uuid[])`,
    [environmentIds],
  );
  const byEnvironment = Map.groupBy(rows, (row) => row.environment_id);
  return Promise.all(
    environmentIds.map(async (environmentId) => {
      try {
        return succeeded(await unwrapKeySet(keys, environmentId, byEnvironment.get(environmentId) ?? []));
      } catch (thrown) {
        return failed(asKeysteadError(thrown));
      }
    }),
  );
}

async function unwrapKeySet(
  keys: KeyEncryptionKeys,
  environmentId: string,
  rows: readonly WrappedKeyRow[],
): Promise<EnvironmentKeySet> {
  const dataKeys = new Map<string, DataKey>();
  let activeKey: DataKey | undefined;
  for (const [dataKeyId, wrappings] of Map.groupBy(rows, (row) => row.data_key_id)) {
    const dataKey = importDataKey(dataKeyId, await openWrapping(keys, { environmentId, dataKeyId }, wrappings));
    dataKeys.set(dataKeyId, dataKey);
    if (wrappings[0]?.state === "active") activeKey = dataKey;
  }
  const sealed = rows[0]?.digest_key_sealed;
  if (!sealed || !activeKey) throw new KeysteadError("environment_gone", `environment ${environmentId} does not exist`);
  const place = digestKeyPlace(environmentId);
  const digestDataKey = keyOf({ activeKey, dataKeys }, sealed) ?? activeKey;
  const digestKey = importDigestKey(Buffer.from(openValue(digestDataKey, sealed, place), "base64"));
  return { activeKey, dataKeys, digestKey };
}

/**
 * The bytes of a data key, by the first configured key that wraps it: the current one if it does. Rejects with
 * `encryption_key_unknown` or `sealed_value_invalid`.
 */
export async function openWrapping(
  keys: KeyEncryptionKeys,
  place: WrappedKeyPlace,
  wrappings: readonly Pick<WrappedKeyRow, "key_id" | "wrapped">[],
): Promise<Buffer> {
  for (const keyId of keys.ids) {
    const wrapped = wrappings.find((row) => row.key_id === keyId)?.wrapped;
    if (wrapped) return keys.unwrap(keyId, wrapped, place);
  }
  const given = wrappings.map((row) => row.key_id).join(", ");
  throw new KeysteadError(
    "encryption_key_unknown",
    `environment ${place.environmentId} is encrypted under ${given || "no key"}, and configured is ${keys.ids.join(", ")}`,
    { details: { ...place, configured: keys.ids } },
  );
}
