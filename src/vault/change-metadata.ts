import type { JsonObject } from "../crypto/canonical-json.ts";
import type { Queryable } from "../db/session-pool.ts";
import { KeysteadError } from "../errors.ts";
import { admitKey, type AdmittedKey, type KeyHolder } from "./admit-key.ts";
import { actorColumns } from "./audit.ts";
import type { Vault } from "./context.ts";
import { connectionText } from "./find-connection.ts";
import { selects } from "./permission.ts";
import { OWNED_COLUMNS, type OwnedRow, refuseManaged } from "./refuse-managed.ts";

/** Which connections of one integration get which metadata. */
export interface MetadataChange {
  readonly providerConfigKey: string;
  readonly connectionIds: readonly string[];
  readonly metadata: JsonObject;
  /** Whether members that are not named stay; else the metadata is replaced. */
  readonly merges: boolean;
}

/**
 * Bytes of the metadata of one connection, as Postgres prints it: no more than one request can bring, however often others
 * are merged into it, so that a list of them stays within bounds.
 */
const MAX_METADATA_BYTES = 1024 * 1024;

interface FoundRow extends OwnedRow {
  readonly connection_row_id: string;
  readonly connection_id: string;
  readonly metadata_declared: boolean;
}

/**
 * Changes the metadata of connections: of all that are named or of none, in one transaction with an event for each.
 * Connections of resources too, as long as the resource declares none.
 *
 * Rejects with `unknown_connection`, `managed_by_resource`, `metadata_too_large`, `unknown_account`, `forbidden` or a
 * `database_*` error.
 */
export async function changeMetadata(vault: Vault, holder: KeyHolder, change: MetadataChange): Promise<void> {
  await vault.database.transaction(async (transaction) => {
    const key = await admitKey(transaction, holder);
    const rows = await holdConnections(transaction, key, change);
    const missing = new Set(change.connectionIds).difference(new Set(rows.map((row) => row.connection_id)));
    if (missing.size > 0) throw unknownConnections([...missing]);
    for (const row of rows) {
      const { connection_id: connectionId } = row;
      if (row.metadata_declared)
        refuseManaged("Connection", row, `The metadata of ${connectionText({ connectionId })}`);
    }
    const bytes = await writeMetadata(transaction, key, change, rows);
    if (bytes > MAX_METADATA_BYTES) throw tooLarge();
  });
}

/** In one order, so that two lists of the same connections do not wait for each other. */
async function holdConnections(
  transaction: Queryable,
  { environmentId, selector }: AdmittedKey,
  { providerConfigKey, connectionIds }: MetadataChange,
): Promise<FoundRow[]> {
  return transaction.query<FoundRow>(
    `select c.connection_row_id, c.connection_id, c.metadata_declared, ${OWNED_COLUMNS}
       from keystead.connections c
      cross join (select $4::jsonb as connection_selector) k
      where c.environment_id = $1
        and c.integration_id = (
          select integration_id from keystead.integrations
           where environment_id = $1 and unique_key = $2 and deleted_at is null)
        and c.connection_id = any($3) and c.deleted_at is null
        and ${selects("k", "c")}
      order by c.connection_row_id
        for no key update of c`,
    [environmentId, providerConfigKey, connectionIds, selector && JSON.stringify(selector)],
  );
}

/** Bytes of the largest metadata there is now. */
async function writeMetadata(
  transaction: Queryable,
  { environmentId, actor }: AdmittedKey,
  { metadata, merges }: MetadataChange,
  rows: readonly FoundRow[],
): Promise<number> {
  const [written] = await transaction.query<{ readonly bytes: number }>(
    `with updated as (
       update keystead.connections
          set metadata = case when $4 then coalesce(metadata, '{}') || $3::jsonb else $3::jsonb end,
              revision = revision + 1, updated_at = now()
        where environment_id = $1 and connection_row_id = any($2::uuid[])
       returning environment_id, connection_row_id, revision, octet_length(metadata::text) as bytes
     ),
     audited as (
       insert into keystead.audit_events (
         environment_id, actor_kind, actor, field_manager, address,
         action, target_kind, target_id, target_revision, fields
       )
       select environment_id, $5, $6, $7, $8, 'connection.updated', 'connection', connection_row_id, revision, '{metadata}'
         from updated
     )
     select coalesce(max(bytes), 0) as bytes from updated`,
    [environmentId, rows.map((row) => row.connection_row_id), JSON.stringify(metadata), merges, ...actorColumns(actor)],
  );
  return written?.bytes ?? 0;
}

function unknownConnections(ids: readonly string[]): KeysteadError {
  const [first = ""] = ids;
  const others = ids.length > 1 ? ` and ${ids.length - 1} more of the list` : "";
  return new KeysteadError(
    "unknown_connection",
    `The integration has no connection with the id ${JSON.stringify(first)}${others}; nothing was changed.`,
  );
}

function tooLarge(): KeysteadError {
  return new KeysteadError("metadata_too_large", "The metadata of one connection would have more than 1 MiB.");
}
