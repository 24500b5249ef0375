import { tokenFingerprint } from "../crypto/token.ts";
import type { JsonObject } from "../crypto/canonical-json.ts";
import { statement } from "../db/statement.ts";
import type { FoundConnectionRow } from "./connection-reads.ts";
import type { Vault } from "./context.ts";
import { accountOf, admits, callingActor, forbidden, type Forbidden, permits, selects } from "./permission.ts";
import { openConnection, type ConnectionRecord } from "./read-connection.ts";

/** Who asks for a call on behalf of which connection. */
export interface ReadProxiedConnectionOptions {
  /** SHA-256 of the token. */
  readonly keyDigest: Buffer;
  readonly providerConfigKey: string;
  readonly connectionId: string;
  /** Address of the caller, for the audit event. */
  readonly address?: string | undefined;
}

/** All that a call for a connection needs. */
export interface ProxiedConnection {
  readonly connection: ConnectionRecord;
  /** Settings of its integration, `proxy` among them. */
  readonly settings: JsonObject;
  /** Where its credentials may be sent. */
  readonly acceptedOrigins: readonly string[];
  /** Namespace of the resource that the integration, or else its environment, is declared by. */
  readonly namespace: string | undefined;
}

/** As for a read. */
export type ReadProxiedConnectionResult =
  | { readonly kind: "unknown_key" }
  | Forbidden
  | { readonly kind: "unknown_integration" }
  | { readonly kind: "not_found" }
  | ({ readonly kind: "found" } & ProxiedConnection);

type ProxiedRow = { readonly may_proxy: boolean } & (
  | (FoundConnectionRow & {
      readonly settings: JsonObject;
      readonly accepted_origins: readonly string[] | null;
      readonly namespace: string | null;
    })
  | { readonly integration_id: string; readonly connection_row_id: null }
  | { readonly integration_id: null; readonly connection_row_id: null }
);

/**
 * The look-ups are those of `connection-reads.ts`, one by one along the same indexes, and so is the rule: what is read is
 * recorded by the statement that reads it. Whether reads are audited makes no difference: a credential that leaves for
 * somewhere else always is.
 */
const READ_AND_RECORD = statement(
  "read_proxied_connection",
  `with found as (
     select k.may_proxy, n.integration_id, n.unique_key, n.provider, n.settings, n.accepted_origins,
            coalesce(n.owner_namespace, e.owner_namespace) as namespace, ${accountOf("k", "e")} as account,
            e.environment_id, c.connection_row_id, c.numeric_id, c.connection_id, c.end_user, c.tags, c.metadata,
            c.created_at, c.updated_at, c.credentials_type, c.credentials_expires_at, c.revision,
            encode(c.credentials_sealed, 'base64') as credentials_sealed, c.credentials_revision,
            encode(c.config_sealed, 'base64') as config_sealed, c.config_revision
       from (
         select k.environment_id, k.connection_selector, k.service_account, ${permits("k", "proxy")} as may_proxy
           from keystead.key_digests k
          where k.digest = $1 and (k.expires_at is null or k.expires_at > now())
          limit 1
       ) k
       join keystead.environments e
         on e.environment_id = k.environment_id and e.deleted_at is null and ${admits("e", "$5::text")}
       left join lateral (
         select n.integration_id, n.unique_key, n.provider, n.settings, n.accepted_origins, n.owner_namespace
           from keystead.integrations n
          where n.environment_id = e.environment_id and n.unique_key = $2 and n.deleted_at is null and k.may_proxy
          limit 1
       ) n on true
       left join lateral (
         select c.*
           from keystead.connections c
          where c.environment_id = e.environment_id and c.integration_id = n.integration_id
            and c.connection_id = $3 and c.deleted_at is null and ${selects("k", "c")}
          limit 1
       ) c on true
   ),
   recorded as (
     insert into keystead.audit_events (
       environment_id, actor_kind, actor, address, action, target_kind, target_id, target_revision, occurrences
     )
     select environment_id, ${callingActor("account", "$4::text")}, $5::text, 'connection.proxied', 'connection', connection_row_id, revision, 1
       from found
      where connection_row_id is not null
   )
   select * from found`,
);

/**
 * A connection with its credentials and where they go. The event is committed when this resolves, so before anything is
 * sent; it may speak of a call that failed after it. Rejects with `sealed_value_invalid`, `encryption_key_unknown` or a
 * `database_*` error.
 */
export async function readProxiedConnection(
  vault: Vault,
  options: ReadProxiedConnectionOptions,
): Promise<ReadProxiedConnectionResult> {
  const { keyDigest, providerConfigKey, connectionId, address } = options;
  const [row] = await vault.database.read<ProxiedRow>(READ_AND_RECORD, [
    keyDigest,
    providerConfigKey,
    connectionId,
    tokenFingerprint(keyDigest),
    address ?? null,
  ]);
  if (!row) return { kind: "unknown_key" };
  if (!row.may_proxy) return forbidden("proxy");
  if (row.integration_id === null) return { kind: "unknown_integration" };
  if (row.connection_row_id === null) return { kind: "not_found" };
  return {
    kind: "found",
    connection: await openConnection(vault, { ...row, may_read: true, may_read_credentials: true }),
    settings: row.settings,
    acceptedOrigins: row.accepted_origins ?? [],
    namespace: row.namespace ?? undefined,
  };
}
