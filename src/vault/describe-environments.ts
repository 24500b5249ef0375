import type { Queryable } from "../db/session-pool.ts";
import type { EnvironmentState, PreviousKey } from "./environment.ts";
import type { SecretSource } from "./owner.ts";
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
  readonly previous_fingerprint: string | null;
  readonly previous_end_at: Date | null;
  readonly previous_end_ms: number | null;
  readonly previous_pending: boolean | null;
}

/** Name of the key every environment has; named keys of `spec.apiKeys` come beside it. */
export const MAIN_SECRET_KEY = "main";

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
            p.fingerprint as previous_fingerprint, p.expires_at as previous_end_at,
            ${millisecondsUntil("p.expires_at")} as previous_end_ms, p.pending as previous_pending
       from keystead.environments e
       join keystead.secret_keys k
         on k.environment_id = e.environment_id and k.name = $2 and k.replaced_at is null
       left join lateral (
         select p.fingerprint, d.expires_at, p.pending_grace_seconds is not null as pending
           from keystead.secret_keys p
           join keystead.key_digests d on d.environment_id = p.environment_id and d.secret_key_id = p.secret_key_id
          where p.environment_id = e.environment_id and p.name = $2 and p.replaced_at is not null
          limit 1
       ) p on true
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
    previousKey: previousKey(row),
  };
}

function previousKey(row: EnvironmentStateRow): PreviousKey | undefined {
  const end = deadlineOf(row.previous_end_at, row.previous_end_ms);
  if (!end || row.previous_fingerprint === null) return undefined;
  return { fingerprint: row.previous_fingerprint, end, isPending: row.previous_pending === true };
}
