import { valuesList } from "../db/values-list.ts";
import type { SqlValue } from "../db/session-pool.ts";
import { AUDITED_INTEGRATION, insertStoreEvents } from "./audit-fragments.ts";
import type { ReigningVault } from "./context.ts";
import { heldReign } from "./reign.ts";

/** The columns of `keystead.integrations` that a resource decides, and what the statements need beside them. */
const COLUMNS = [
  ["environment_id", "uuid"],
  ["integration_id", "uuid"],
  ["unique_key", "text"],
  ["owner_cluster", "text"],
  ["owner_release", "text"],
  ["owner_namespace", "text"],
  ["owner_name", "text"],
  ["owner_uid", "uuid"],
  /** uid of the Environment that the resource refers to. */
  ["environment_uid", "uuid"],
  ["provider", "text"],
  ["display_name", "text"],
  ["settings", "jsonb"],
  ["accepted_origins", "jsonb"],
  ["client_sealed", "bytea"],
  ["declaration_digest", "text"],
  ["client_digest", "text"],
  ["rest_digest", "text"],
  ["sources", "jsonb"],
  /** Of a new row only. */
  ["handled_restore", "uuid"],
  ["field_manager", "text"],
  /** Revision the row must still have; 0 for a new one. */
  ["revision", "bigint"],
  /** Whether the client is replaced (by null: removed) or stays as it is. */
  ["replaces_client", "boolean"],
  /** Names of the parts that changed, separated by commas; empty when only the versions of the sources did. */
  ["changed", "text"],
] as const;

type Column = (typeof COLUMNS)[number][0];
/** What the statements need of the vault. */
type Writer = Pick<ReigningVault, "database" | "reign">;

/** A row on its way to the database; both statements take the same columns. */
export type IntegrationRow = Readonly<Record<Column, SqlValue>>;

/** Adds rows; the ids of those that were added. A row whose uid or key is taken, or whose environment is gone, is not. */
export async function insertIntegrations(vault: Writer, rows: readonly IntegrationRow[]): Promise<Set<string>> {
  const { head, values } = inputOf(vault, rows);
  const written = await vault.database.query<{ integration_id: string }>(
    `${head},
    created as (
      insert into keystead.integrations (
        environment_id, integration_id, unique_key,
        owner_cluster, owner_release, owner_namespace, owner_name, owner_uid,
        provider, display_name, settings, accepted_origins, client_sealed, client_revision,
        declaration_digest, client_digest, rest_digest, sources, handled_restore
      )
      select environment_id, integration_id, unique_key,
             owner_cluster, owner_release, owner_namespace, owner_name, owner_uid,
             provider, display_name, settings, accepted_origins, client_sealed, case when client_sealed is not null then 1 end,
             declaration_digest, client_digest, rest_digest, sources, handled_restore
        from input i join live using (environment_id, owner_cluster, owner_namespace, environment_uid)
      on conflict do nothing
      returning environment_id, integration_id, revision
    ),
    audited as (${insertStoreEvents(AUDITED_INTEGRATION, "created")})
    select integration_id from created`,
    values,
  );
  return new Set(written.map((row) => row.integration_id));
}

/** Changes rows that still have their revision, as `updateConnections` does; the ids of those that were changed. */
export async function updateIntegrations(vault: Writer, rows: readonly IntegrationRow[]): Promise<Set<string>> {
  const { head, values } = inputOf(vault, rows);
  const written = await vault.database.query<{ integration_id: string }>(
    `${head},
    updated as (
      update keystead.integrations n
         set provider = i.provider,
             display_name = i.display_name,
             settings = i.settings,
             accepted_origins = i.accepted_origins,
             client_sealed = case when i.replaces_client then i.client_sealed else n.client_sealed end,
             client_revision = case
               when not i.replaces_client then n.client_revision
               when i.client_sealed is not null then i.revision + 1
             end,
             declaration_digest = i.declaration_digest,
             client_digest = i.client_digest,
             rest_digest = i.rest_digest,
             sources = i.sources,
             revision = n.revision + case when i.changed = '' then 0 else 1 end,
             updated_at = case when i.changed = '' then n.updated_at else now() end
        from input i join live using (environment_id, owner_cluster, owner_namespace, environment_uid)
       where n.environment_id = i.environment_id
         and n.integration_id = i.integration_id
         and n.revision = i.revision
      returning n.environment_id, n.integration_id, n.revision
    ),
    audited as (${insertStoreEvents(AUDITED_INTEGRATION, "updated")})
    select integration_id from updated`,
    values,
  );
  return new Set(written.map((row) => row.integration_id));
}

/** The rows to write, and their environments as `inputOf` of connections has them; share locks keep those alive until the commit. */
function inputOf({ reign }: Writer, rows: readonly IntegrationRow[]): { head: string; values: readonly SqlValue[] } {
  const { text, values } = valuesList(
    COLUMNS.map(([, type]) => type),
    rows.map((row) => COLUMNS.map(([column]) => row[column])),
  );
  const head = `with input (${COLUMNS.map(([column]) => column).join(", ")}) as (${text}),
    ${heldReign(values.length + 1)},
    live as (
      select environment_id, owner_cluster, owner_namespace, owner_uid as environment_uid
        from keystead.environments e cross join reign
       where environment_id in (select environment_id from input) and deleted_at is null
         for share of e
    )`;
  return { head, values: [...values, ...reign.claim()] };
}
