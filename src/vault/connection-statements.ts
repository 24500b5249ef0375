import { valuesList } from "../db/values-list.ts";
import type { SqlValue } from "../db/session-pool.ts";
import { AUDITED_CONNECTION, insertStoreEvents } from "./audit-fragments.ts";
import type { ReigningVault } from "./context.ts";
import { heldReign } from "./reign.ts";

/** The columns of `keystead.connections` that a resource decides, and what the statements need beside them. */
const COLUMNS = [
  ["environment_id", "uuid"],
  ["connection_row_id", "uuid"],
  ["integration_id", "uuid"],
  ["connection_id", "text"],
  ["owner_cluster", "text"],
  ["owner_release", "text"],
  ["owner_namespace", "text"],
  ["owner_name", "text"],
  ["owner_uid", "uuid"],
  /** uid of the Environment that the resource refers to. */
  ["environment_uid", "uuid"],
  ["credentials_type", "text"],
  ["credentials_sealed", "bytea"],
  ["credentials_expires_at", "timestamptz"],
  ["config_sealed", "bytea"],
  ["metadata", "jsonb"],
  ["tags", "jsonb"],
  ["end_user", "jsonb"],
  ["declaration_digest", "text"],
  ["credentials_digest", "text"],
  ["config_digest", "text"],
  ["rest_digest", "text"],
  ["sources", "jsonb"],
  /** Of a new row only. */
  ["handled_restore", "uuid"],
  ["field_manager", "text"],
  /** Revision the row must still have; 0 for a new one. */
  ["revision", "bigint"],
  /** Whether credentials are replaced (by null: removed) or stay as they are. */
  ["replaces_credentials", "boolean"],
  /** Names of the parts that changed, separated by commas; empty when only the versions of the sources did. */
  ["changed", "text"],
] as const;

type Column = (typeof COLUMNS)[number][0];
/** What the statements need of the vault. */
type Writer = Pick<ReigningVault, "database" | "reign">;

/** A row on its way to the database; both statements take the same columns. */
export type ConnectionRow = Readonly<Record<Column, SqlValue>>;

/** Adds rows; the ids of those that were added. A row whose uid or connection id is taken, or whose parent is gone, is not. */
export async function insertConnections(vault: Writer, rows: readonly ConnectionRow[]): Promise<Set<string>> {
  const { head, values } = inputOf(vault, rows);
  const written = await vault.database.query<{ connection_row_id: string }>(
    `${head},
    created as (
      insert into keystead.connections (
        environment_id, connection_row_id, integration_id, connection_id,
        owner_cluster, owner_release, owner_namespace, owner_name, owner_uid,
        credentials_type, credentials_sealed, credentials_revision, credentials_expires_at,
        config_sealed, config_revision, metadata, metadata_declared, tags, end_user,
        declaration_digest, credentials_digest, config_digest, rest_digest, sources, handled_restore
      )
      select i.environment_id, i.connection_row_id, i.integration_id, i.connection_id,
             i.owner_cluster, i.owner_release, i.owner_namespace, i.owner_name, i.owner_uid,
             i.credentials_type, i.credentials_sealed, case when i.credentials_sealed is not null then 1 end,
             i.credentials_expires_at,
             i.config_sealed, 1, i.metadata, i.metadata is not null, i.tags, i.end_user,
             i.declaration_digest, i.credentials_digest, i.config_digest, i.rest_digest, i.sources, i.handled_restore
        from input i join live using (environment_id, integration_id, owner_cluster, owner_namespace, environment_uid)
      on conflict do nothing
      returning environment_id, connection_row_id, revision
    ),
    audited as (${insertStoreEvents(AUDITED_CONNECTION, "created")})
    select connection_row_id from created`,
    values,
  );
  return new Set(written.map((row) => row.connection_row_id));
}

/**
 * Changes rows that still have their revision; the ids of those that were changed. A soft-delete raises the revision, so
 * it needs no condition of its own; one would let the planner take the partial index by environment alone, which it
 * believes to be nearly empty while the table was never analyzed.
 */
export async function updateConnections(vault: Writer, rows: readonly ConnectionRow[]): Promise<Set<string>> {
  const { head, values } = inputOf(vault, rows);
  const written = await vault.database.query<{ connection_row_id: string }>(
    `${head},
    updated as (
      update keystead.connections c
         set integration_id = i.integration_id,
             credentials_type = case when i.replaces_credentials then i.credentials_type else c.credentials_type end,
             credentials_sealed = case when i.replaces_credentials then i.credentials_sealed else c.credentials_sealed end,
             credentials_revision = case
               when not i.replaces_credentials then c.credentials_revision
               when i.credentials_sealed is not null then i.revision + 1
             end,
             credentials_expires_at =
               case when i.replaces_credentials then i.credentials_expires_at else c.credentials_expires_at end,
             config_sealed = coalesce(i.config_sealed, c.config_sealed),
             config_revision = case when i.config_sealed is null then c.config_revision else i.revision + 1 end,
             metadata = coalesce(i.metadata, c.metadata),
             metadata_declared = i.metadata is not null,
             tags = i.tags,
             end_user = i.end_user,
             declaration_digest = i.declaration_digest,
             credentials_digest = i.credentials_digest,
             config_digest = i.config_digest,
             rest_digest = i.rest_digest,
             sources = i.sources,
             revision = c.revision + case when i.changed = '' then 0 else 1 end,
             updated_at = case when i.changed = '' then c.updated_at else now() end
        from input i join live using (environment_id, integration_id, owner_cluster, owner_namespace, environment_uid)
       where c.environment_id = i.environment_id
         and c.connection_row_id = i.connection_row_id
         and c.revision = i.revision
      returning c.environment_id, c.connection_row_id, c.revision
    ),
    audited as (${insertStoreEvents(AUDITED_CONNECTION, "updated")})
    select connection_row_id from updated`,
    values,
  );
  return new Set(written.map((row) => row.connection_row_id));
}

/**
 * The rows to write, and their parents as far as they are alive, of the same cluster and namespace (another one may have
 * adopted them) and still of the Environment that the resource refers to, and the reign holds. Share locks keep parents alive
 * until the commit: a soft-delete that runs at the same time waits, and then finds the new rows too.
 */
function inputOf({ reign }: Writer, rows: readonly ConnectionRow[]): { head: string; values: readonly SqlValue[] } {
  const { text, values } = valuesList(
    COLUMNS.map(([, type]) => type),
    rows.map((row) => COLUMNS.map(([column]) => row[column])),
  );
  const head = `with input (${COLUMNS.map(([column]) => column).join(", ")}) as (${text}),
    ${heldReign(values.length + 1)},
    live as (
      select n.environment_id, n.integration_id, e.owner_cluster, e.owner_namespace, e.owner_uid as environment_uid
        from (select distinct environment_id, integration_id from input) as i
        join keystead.environments e on e.environment_id = i.environment_id and e.deleted_at is null
        join keystead.integrations n
          on n.environment_id = i.environment_id and n.integration_id = i.integration_id and n.deleted_at is null
       cross join reign
         for share of e, n
    )`;
  return { head, values: [...values, ...reign.claim()] };
}
