import type { Queryable } from "../db/session-pool.ts";
import type { ApiKeyState } from "./api-key.ts";
import type { EnvironmentState, ReplacedKey } from "./environment.ts";
import type { SecretSource } from "./owner.ts";
import type { AllowedServiceAccount } from "./service-account.ts";
import { deadlineOf, millisecondsUntil } from "./rotation-schedule.ts";

interface EnvironmentStateRow {
  readonly owner_uid: string;
  readonly environment_id: string;
  readonly revision: number;
  readonly public_key: string;
  readonly retention_seconds: number;
  readonly fingerprint: string;
  readonly issued_at: Date;
  readonly last_handled_rotation: string | null;
  readonly last_handled_data_key_rotation: string | null;
  readonly declaration_digest: string;
  readonly variables_digest: string;
  readonly sources: SecretSource[];
  readonly handled_restore: string | null;
  readonly next_rotation_at: Date | null;
  readonly next_rotation_ms: number | null;
  readonly replaced_keys: readonly JsonReplacedKey[];
  readonly api_keys: readonly JsonApiKey[];
  readonly service_accounts: readonly JsonServiceAccount[];
}

/** Instants are text in JSON. */
interface JsonDeadline {
  readonly at: string | null;
  readonly inMs: number | null;
}

type JsonReplacedKey = Omit<ReplacedKey, "end"> & JsonDeadline;

type JsonApiKey = JsonDeadline & {
  readonly name: string;
  readonly scopes: readonly string[];
  readonly connectionSelector: Record<string, string> | null;
  readonly expiresAfterSeconds: number | null;
  readonly lastHandledRotation: string | null;
  readonly fingerprint: string | null;
};

type JsonServiceAccount = Omit<AllowedServiceAccount, "connectionSelector"> & {
  readonly connectionSelector: Record<string, string> | null;
};

/** Name of the key every environment has; named keys of `spec.apiKeys` come beside it. */
export const MAIN_SECRET_KEY = "main";

const REPLACED_KEYS = `
  select json_build_object(
           'name', p.name, 'fingerprint', p.fingerprint, 'isPending', p.pending_grace_seconds is not null,
           'at', d.expires_at, 'inMs', ${millisecondsUntil("d.expires_at")}
         )
    from keystead.secret_keys p
    join keystead.key_digests d on d.environment_id = p.environment_id and d.secret_key_id = p.secret_key_id
   where p.environment_id = e.environment_id and p.replaced_at is not null`;

const API_KEYS = `
  select json_build_object(
           'name', a.name, 'scopes', a.scopes, 'connectionSelector', a.connection_selector,
           'expiresAfterSeconds', a.expires_after_seconds, 'lastHandledRotation', a.last_handled_rotation,
           'fingerprint', s.fingerprint, 'at', d.expires_at, 'inMs', ${millisecondsUntil("d.expires_at")}
         )
    from keystead.api_keys a
    left join keystead.secret_keys s
      on s.environment_id = a.environment_id and s.name = a.name and s.replaced_at is null
    left join keystead.key_digests d on d.environment_id = s.environment_id and d.secret_key_id = s.secret_key_id
   where a.environment_id = e.environment_id
   order by a.name`;

const SERVICE_ACCOUNTS = `
  select json_build_object(
           'name', d.service_account, 'uid', d.service_account_uid, 'digest', encode(d.digest, 'hex'),
           'scopes', d.scopes, 'connectionSelector', d.connection_selector
         )
    from keystead.key_digests d
   where d.environment_id = e.environment_id and d.service_account is not null
   order by d.service_account`;

/** What is stored for these Environment resources, by uid, as `describeConnections` does. */
export async function describeEnvironments(
  vault: { readonly database: Queryable },
  uids: readonly string[],
): Promise<Map<string, EnvironmentState>> {
  const rows = await vault.database.query<EnvironmentStateRow>(
    `select e.owner_uid, e.environment_id, e.revision, e.public_key, e.retention_seconds, k.fingerprint, k.issued_at,
            e.last_handled_rotation, e.last_handled_data_key_rotation, e.declaration_digest, e.variables_digest,
            e.sources, e.handled_restore,
            e.next_rotation_at, ${millisecondsUntil("e.next_rotation_at")} as next_rotation_ms,
            array(${REPLACED_KEYS}) as replaced_keys, array(${API_KEYS}) as api_keys,
            array(${SERVICE_ACCOUNTS}) as service_accounts
       from keystead.environments e
       join keystead.secret_keys k
         on k.environment_id = e.environment_id and k.name = $2 and k.replaced_at is null
      where e.owner_uid = any($1::uuid[]) and e.deleted_at is null`,
    [uids, MAIN_SECRET_KEY],
  );
  return new Map(rows.map((row) => [row.owner_uid, environmentState(row)]));
}

function environmentState(row: EnvironmentStateRow): EnvironmentState {
  return {
    id: row.environment_id,
    revision: row.revision,
    publicKey: row.public_key,
    retentionSeconds: row.retention_seconds,
    secretKeyFingerprint: row.fingerprint,
    secretKeyIssuedAt: row.issued_at,
    lastHandledRotation: row.last_handled_rotation ?? undefined,
    lastHandledDataKeyRotation: row.last_handled_data_key_rotation ?? undefined,
    digests: { declaration: row.declaration_digest, variables: row.variables_digest },
    sources: row.sources,
    handledRestore: row.handled_restore ?? undefined,
    nextRotation: deadlineOf(row.next_rotation_at, row.next_rotation_ms),
    replacedKeys: row.replaced_keys.map(({ at, inMs, ...key }) => ({
      ...key,
      end: { at: new Date(at ?? 0), inMs: inMs ?? 0 },
    })),
    apiKeys: row.api_keys.map(apiKeyState),
    serviceAccounts: row.service_accounts.map(({ connectionSelector, ...account }) => ({
      ...account,
      connectionSelector: connectionSelector ?? undefined,
    })),
  };
}

function apiKeyState({ at, inMs, ...key }: JsonApiKey): ApiKeyState {
  return {
    name: key.name,
    scopes: key.scopes,
    connectionSelector: key.connectionSelector ?? undefined,
    expiresAfterSeconds: key.expiresAfterSeconds ?? undefined,
    lastHandledRotation: key.lastHandledRotation ?? undefined,
    fingerprint: key.fingerprint ?? undefined,
    end: deadlineOf(at === null ? null : new Date(at), inMs),
  };
}
