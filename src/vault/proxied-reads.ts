import type { JsonObject } from "../crypto/canonical-json.ts";
import type { Database } from "../db/database.ts";
import { statement } from "../db/statement.ts";
import { type ConnectionRead, type FoundConnectionRow, TOO_LARGE } from "./connection-reads.ts";
import { accountOf, callingActor, opens, permits } from "./permission.ts";
import { connectionOfWay, environmentOfKey, SEALED_COLUMNS } from "./way-fragments.ts";

/** How far the way from key to connection went. A key that opens nothing has no row. */
export type ProxiedRow = { readonly may_proxy: boolean } & (
  | (FoundConnectionRow & {
      readonly settings: JsonObject;
      readonly accepted_origins: readonly string[] | null;
      readonly namespace: string | null;
    })
  | { readonly integration_id: string; readonly connection_row_id: null }
  | { readonly integration_id: null; readonly connection_row_id: null }
);

type StoredRow = { readonly position: number; readonly is_large: boolean } & ProxiedRow;

/**
 * The look-ups are those of `connection-reads.ts`, one by one along the same indexes, and so is the rule: what is read is
 * recorded by the statement that reads it. Whether reads are audited makes no difference: a credential that leaves for
 * somewhere else always is, and each call has an event of its own.
 */
const READ_AND_RECORD = statement(
  "read_proxied_connections",
  `with found as (
     select a.position, a.fingerprint, a.address, k.may_proxy, n.integration_id, n.unique_key, n.provider, n.settings,
            n.accepted_origins, coalesce(n.owner_namespace, e.owner_namespace) as namespace,
            ${accountOf("k", "e")} as account,
            e.environment_id, c.connection_row_id, c.numeric_id, c.connection_id, c.end_user, c.tags, c.metadata,
            c.created_at, c.updated_at, c.credentials_type, c.credentials_expires_at, c.revision,
            coalesce(c.sealed_bytes > $6::int, false) as is_large,
            c.credentials_sealed, c.credentials_revision, c.config_sealed, c.config_revision
       from unnest((select $1::bytea[]), (select $2::text[]), (select $3::text[]), (select $4::text[]), (select $5::text[]))
            with ordinality as a (digest, fingerprint, unique_key, connection_id, address, position)
      cross join lateral (
        select k.environment_id, k.connection_selector, k.service_account, ${permits("k", "proxy")} as may_proxy
          from keystead.key_digests k
         where ${opens("k", "a.digest")}
         limit 1
      ) k
      ${environmentOfKey("a.address")}
       left join lateral (
        select n.integration_id, n.unique_key, n.provider, n.settings, n.accepted_origins, n.owner_namespace
          from keystead.integrations n
         where n.environment_id = e.environment_id and n.unique_key = a.unique_key and n.deleted_at is null
           and k.may_proxy
         limit 1
      ) n on true
       ${connectionOfWay({ environment: "e", integration: "n", key: "k", asked: "a" })}
   ),
   recorded as (
     insert into keystead.audit_events (
       environment_id, actor_kind, actor, address, action, target_kind, target_id, target_revision, occurrences
     )
     select environment_id, ${callingActor("account", "fingerprint")}, address, 'connection.proxied', 'connection',
            connection_row_id, revision, 1
       from found
      where connection_row_id is not null and not is_large
   )
   select position, is_large, may_proxy, integration_id, unique_key, provider, settings, accepted_origins, namespace,
          environment_id, connection_row_id, numeric_id, connection_id, end_user, tags, metadata, created_at, updated_at,
          credentials_type, credentials_expires_at,
          ${SEALED_COLUMNS}
     from found`,
);

/**
 * Answers the calls of one moment with one statement: a row for each, in their order, and `undefined` for a key that opens
 * nothing. A connection in which more than `maxBytes` are sealed is `TOO_LARGE`. Rejects with a `database_*` error.
 */
export async function readProxiedRows(
  database: Pick<Database, "read">,
  reads: readonly ConnectionRead[],
  maxBytes: number,
): Promise<(ProxiedRow | typeof TOO_LARGE | undefined)[]> {
  const rows = await database.read<StoredRow>(READ_AND_RECORD, [
    reads.map(({ keyDigest }) => `\\x${keyDigest.toString("hex")}`),
    reads.map(({ keyFingerprint }) => keyFingerprint),
    reads.map(({ providerConfigKey }) => providerConfigKey),
    reads.map(({ connectionId }) => connectionId),
    reads.map(({ address }) => address ?? null),
    maxBytes,
  ]);
  const answers = new Map<number, ProxiedRow | typeof TOO_LARGE>();
  for (const row of rows) answers.set(row.position, row.is_large ? TOO_LARGE : row);
  return reads.map((_read, index) => answers.get(index + 1));
}
