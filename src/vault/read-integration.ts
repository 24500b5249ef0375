import { Secret } from "../crypto/secret.ts";
import { statement } from "../db/statement.ts";
import type { ReadPermissions } from "./connection-reads.ts";
import type { Vault } from "./context.ts";
import { accountOf, admits, callingActorOf, forbidden, type Forbidden, opens, permits } from "./permission.ts";
import { integrationSummary, type IntegrationSummary, type IntegrationSummaryRow } from "./list-integrations.ts";

/** Who asks for what. */
export interface ReadIntegrationOptions {
  /** SHA-256 of the token. */
  readonly keyDigest: Buffer;
  readonly uniqueKey: string;
  /** Whether the client is wanted too: that read is audited. */
  readonly withClient: boolean;
  /** Address of the caller. */
  readonly address?: string | undefined;
}

/** An integration, perhaps with its client. */
export interface IntegrationRecord extends IntegrationSummary {
  /** JSON text of the client in Nango's shape; absent when it was not asked for or there is none. */
  readonly client: Secret | undefined;
}

/** As for connections. */
export type ReadIntegrationResult =
  | { readonly kind: "unknown_key" }
  | Forbidden
  | { readonly kind: "not_found" }
  | { readonly kind: "found"; readonly integration: IntegrationRecord };

const READ_INTEGRATION = statement(
  "read_integration",
  `select e.environment_id, k.may_read, k.may_read_credentials, n.integration_id, n.unique_key, n.provider, n.display_name, n.settings,
          n.created_at, n.updated_at, case when k.may_read_credentials then n.client_sealed end as client_sealed,
          n.client_revision, n.revision, ${accountOf("k", "e")} as account
     from (
       select k.environment_id, k.service_account,
              ${permits("k", "integrations:read", "integrations:read_credentials")} as may_read,
              ${permits("k", "integrations:read_credentials")} as may_read_credentials
         from keystead.key_digests k
        where ${opens("k", "$1")}
     ) k
     join keystead.environments e on e.environment_id = k.environment_id and e.deleted_at is null and ${admits("e", "$3")}
     left join keystead.integrations n
       on n.environment_id = e.environment_id and n.unique_key = $2 and n.deleted_at is null and k.may_read`,
);

interface FoundRow extends IntegrationSummaryRow {
  readonly client_sealed: Buffer | null;
  readonly client_revision: number | null;
  readonly revision: number;
  readonly account: string | null;
}

/**
 * One integration of the key's environment. Rejects with `sealed_value_invalid`, `encryption_key_unknown` or a
 * `database_*` error; like every secret, a client that cannot be audited is not handed out.
 */
export async function readIntegration(vault: Vault, options: ReadIntegrationOptions): Promise<ReadIntegrationResult> {
  const { keyDigest, uniqueKey, withClient } = options;
  const [row] = await vault.database.read<ReadPermissions & (FoundRow | { readonly integration_id: null })>(
    READ_INTEGRATION,
    [keyDigest, uniqueKey, options.address ?? null],
  );
  if (!row) return { kind: "unknown_key" };
  if (!row.may_read) return forbidden("integrations:read");
  if (withClient && !row.may_read_credentials) return forbidden("integrations:read_credentials");
  if (row.integration_id === null) return { kind: "not_found" };
  const client = withClient ? await openClient(vault, options, row) : undefined;
  return { kind: "found", integration: { ...integrationSummary(row), client } };
}

async function openClient(vault: Vault, options: ReadIntegrationOptions, row: FoundRow): Promise<Secret | undefined> {
  if (row.client_sealed === null || row.client_revision === null) return undefined;
  const text = await vault.environmentKeys.open(row.client_sealed, {
    label: "integration.client",
    environmentId: row.environment_id,
    rowId: row.integration_id,
    revision: row.client_revision,
  });
  await vault.auditReads({
    environmentId: row.environment_id,
    actor: callingActorOf(row.account, options),
    action: "integration.client-read",
    targetId: row.integration_id,
    targetRevision: row.revision,
  });
  return new Secret(text);
}
