import type { EndUser } from "../vault/connection.ts";
import type { ConnectionSummary } from "../vault/connection-summary.ts";
import type { DeletedConnection } from "../vault/list-deleted-connections.ts";
import type { ConnectionRecord } from "../vault/read-connection.ts";
import { withoutRefreshTokens } from "./refresh-tokens.ts";

/**
 * The contract's full connection, as JSON text. Credentials and config stay the text that was decrypted: parsing them
 * only to print them again would be the most expensive part of a read.
 */
export function connectionAnswer(
  connection: ConnectionRecord,
  options: { readonly refreshToken: boolean; readonly printInstant?: (date: Date) => string },
): string {
  const { printInstant = instant } = options;
  const config = connection.config.reveal();
  const credentials = credentialsAnswer(connection);
  const head = JSON.stringify({
    id: connection.numericId,
    connection_id: connection.connectionId,
    provider_config_key: connection.providerConfigKey,
    provider: connection.provider,
    errors: [],
    end_user: endUserAnswer(connection.endUser),
    tags: connection.tags,
    metadata: connection.metadata,
    webhook_url_override: null,
    created_at: printInstant(connection.createdAt),
    updated_at: printInstant(connection.updatedAt),
    last_fetched_at: null,
  });
  const shown = options.refreshToken ? (json: string) => json : withoutRefreshTokens;
  // Whoever may not read credentials is not told that there are none either.
  const last = connection.mayReadCredentials ? `,"credentials":${shown(credentials)}` : "";
  return `${head.slice(0, -1)},"connection_config":${shown(config)}${last}}`;
}

/** One of the contract's simple connections, as JSON text. */
export function simpleConnectionAnswer(connection: ConnectionSummary): string {
  return JSON.stringify(simpleConnection(connection));
}

/** The same for one that is deleted. */
export function deletedConnectionAnswer(connection: DeletedConnection): string {
  const { deletedAt, purgeAt } = connection;
  return JSON.stringify({
    ...simpleConnection(connection),
    deletedAt: instant(deletedAt),
    purgeAt: instant(purgeAt),
  });
}

function simpleConnection(connection: ConnectionSummary): object {
  return {
    id: connection.numericId,
    connection_id: connection.connectionId,
    provider_config_key: connection.providerConfigKey,
    provider: connection.provider,
    errors: [],
    end_user: endUserAnswer(connection.endUser),
    tags: connection.tags,
    metadata: connection.metadata,
    created: instant(connection.createdAt),
  };
}

/** `{}` while there are none: the same as of a provider without credentials. */
function credentialsAnswer({ credentials, credentialsType: type }: ConnectionRecord): string {
  const json = credentials?.reveal() ?? "{}";
  if (type === undefined || json.startsWith(`{"type":"${type}"`)) return json;
  // A custom credential may have a member of that name, and two of one name would leave the choice to the reader.
  if (json.includes('"type":')) return JSON.stringify({ ...JSON.parse(json), type });
  return json === "{}" ? `{"type":"${type}"}` : `{"type":"${type}",${json.slice(1)}`;
}

/** Instants of rows end in `+00:00`, as a server of the contract prints them; only answers to a POST end in `Z`. */
export function instant(date: Date): string {
  return `${date.toISOString().slice(0, -1)}+00:00`;
}

function endUserAnswer(endUser: EndUser | null): object | null {
  if (!endUser) return null;
  const { organization } = endUser;
  return {
    id: endUser.id,
    display_name: endUser.displayName ?? null,
    email: endUser.email ?? null,
    tags: endUser.tags ?? null,
    organization: organization ? { id: organization.id, display_name: organization.displayName ?? null } : null,
  };
}
