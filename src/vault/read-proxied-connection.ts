import { tokenFingerprint } from "../crypto/token.ts";
import type { JsonObject } from "../crypto/canonical-json.ts";
import type { Vault } from "./context.ts";
import { forbidden, type Forbidden } from "./permission.ts";
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

/**
 * A connection with its credentials and where they go. The event is committed when this resolves, so before anything is
 * sent; it may speak of a call that failed after it. Calls of the same moment share the statement. Rejects with
 * `sealed_value_invalid`, `encryption_key_unknown` or a `database_*` error.
 */
export async function readProxiedConnection(
  vault: Vault,
  options: ReadProxiedConnectionOptions,
): Promise<ReadProxiedConnectionResult> {
  const { keyDigest, providerConfigKey, connectionId, address } = options;
  const keyFingerprint = tokenFingerprint(keyDigest);
  const askedAt = performance.now();
  const row = await vault.readProxiedRow({
    keyDigest,
    keyFingerprint,
    providerConfigKey,
    connectionId,
    address,
    askedAt,
  });
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
