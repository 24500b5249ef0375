import type { Queryable } from "../db/session-pool.ts";
import type { IntegrationState } from "./integration.ts";
import type { SecretSource } from "./owner.ts";

interface IntegrationStateRow {
  readonly owner_uid: string;
  readonly environment_id: string;
  readonly integration_id: string;
  readonly unique_key: string;
  readonly revision: number;
  readonly declaration_digest: string;
  readonly client_digest: string | null;
  readonly rest_digest: string;
  readonly sources: SecretSource[];
  readonly accepted_origins: readonly string[] | null;
  readonly claimed: boolean;
  readonly handled_restore: string | null;
}

/** What is stored for these Integration resources, by uid, as `describeConnections` does. */
export async function describeIntegrations(
  vault: { readonly database: Queryable },
  uids: readonly string[],
): Promise<Map<string, IntegrationState>> {
  const rows = await vault.database.query<IntegrationStateRow>(
    `select owner_uid, environment_id, integration_id, unique_key, revision,
            declaration_digest, client_digest, rest_digest, sources, accepted_origins, claimed, handled_restore
       from keystead.integrations
      where owner_uid = any($1::uuid[]) and deleted_at is null
      order by created_at`,
    [uids],
  );
  return new Map(rows.map((row) => [row.owner_uid, integrationState(row)]));
}

function integrationState(row: IntegrationStateRow): IntegrationState {
  return {
    id: row.integration_id,
    environmentId: row.environment_id,
    uniqueKey: row.unique_key,
    revision: row.revision,
    digests: { declaration: row.declaration_digest, client: row.client_digest, rest: row.rest_digest },
    sources: row.sources,
    acceptedOrigins: row.accepted_origins ?? undefined,
    claimed: row.claimed,
    handledRestore: row.handled_restore ?? undefined,
  };
}
